"""Loaders as other teams write them: each reports its failures in its own, mostly unhelpful way.

Both read production's variables. `FOREIGN_FAULT` breaks them in one way, `FOREIGN_LOG` chooses how they log:
`swallow` (an ERROR line with `str(error)`), `traceback`, `json`, `print`, `crash` (nobody catches).
"""
