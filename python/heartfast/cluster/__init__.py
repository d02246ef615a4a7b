"""Conversion in tasks that machines share: listed once, cut, done anywhere, merged.

`plan` lists recordings and cuts them into tasks, `task` does one and commits it to a `place` (a
folder or an object store), `engine` has tasks done here or on Ray, and `merge` joins what they
have written down. `heartfast.convert` comes here for whatever one machine's batch does not do.
"""

# A task has so many megabytes (10^6 bytes) of recordings at most, unless asked otherwise.
SHARD_MB = 256.0
