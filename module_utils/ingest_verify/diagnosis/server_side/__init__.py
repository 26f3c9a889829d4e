"""What the server refused, and why: from an error code and its text to a cause, an object by name and a next step.

`refused` and `unlogged` collect the refusals of a run; `classify` decides which rule names the cause of one: a line of
`rules`, or `missing_objects`, `columns`, `values`, `input_text`, `access`, `resources`, `schema_statements`.
"""
