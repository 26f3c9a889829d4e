"""Which side failed and why: the server's evidence, the client's log, and the join of both.

`diagnose` is the way through it, `log_only` where no server answers; `case` is what its steps share. `proof` says
whether `facts.server`, which asks the server's tables, can be trusted; `attribution` whose statements are the run's.
`server_side` names the cause of what the server refused, `client_side` that of what the ingest's own log tells, and
`join`, `aborts` and `silence` what follows from both. `surroundings` is what went on beside the run's statements.
"""

STAGE = "qtickets_ingest"
"""The stage that every finding of a diagnosis belongs to."""
