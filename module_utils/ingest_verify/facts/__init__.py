"""What is known of a case, each fact with its source. Reading concludes nothing.

`server` (the server's own tables), `catalog` (its databases, tables and columns), `log` (the client's own log),
`recorded` (what the recorder saw inside the process), `served` (what the source gave). Nothing here knows a cause: a
test holds that `facts` imports neither `causes` nor `diagnosis`.
"""
