"""The launcher's one exception."""


class EmbeddedError(Exception):
    """``kind`` is a stable word for programs, the text one sentence: expected, found, what to do."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
