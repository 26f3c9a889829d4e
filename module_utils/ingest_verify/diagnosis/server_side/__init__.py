"""What the server refused, and why: from an error code and its text to a cause, an object by name and a next step.

`refused` and `unlogged` collect the refusals of a run. `classify` asks all rules for the refusal's kind, and the
catalogue's own texts: of those that hold, the narrowest cause is told. The rules stand in `missing_objects`, `columns`,
`values`, `input_text`, `access`, `resources`, `network`, `schema_statements`.
"""
