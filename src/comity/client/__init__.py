"""A client of a connector's management API for programs and for the `comity` command.

`connector` speaks HTTP with the standard library alone, so that a command starts fast; `problems` turns the API's
errors back into `comity.errors`; `watch` follows an exchange to its end, `events` the log of events for as long as it
is asked.
"""
