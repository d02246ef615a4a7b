"""The speed of this machine: `heartfast bench`, and what `make bench` shares with it.

`corpus` makes the recordings, `peers/` has the same job written with other libraries, `jobs`
runs contenders as processes of their own and checks what they drew, `verb` is the command.
"""
