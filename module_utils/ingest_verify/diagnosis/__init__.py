"""Which side failed and why: the server's evidence, the client's log, and the join of both.

`diagnose` is the way through it. `evidence` asks the server's tables, `attribution` says whose statements are the
run's, `server_side` names the cause of what the server refused, `client_side` that of what the ingest's own log tells.
"""

STAGE = "qtickets_ingest"
"""The stage that every finding of a diagnosis belongs to."""
