"""The stages of the path from recordings to a report, one module a verb."""
