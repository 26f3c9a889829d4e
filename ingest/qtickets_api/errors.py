"""Failures the loader can name, and the exit status that belongs to each class."""

from __future__ import annotations

EXIT_OK = 0
EXIT_INTERNAL = 1
EXIT_CONFIG = 2
EXIT_API = 3
EXIT_CLICKHOUSE = 4
EXIT_DATA = 5


class LoaderError(Exception):
    """A failure with a cause a program can match on.

    :param cause: snake_case name, stable across versions
    :param message: one sentence for a person; never a token, never personal data
    """

    exit_code = EXIT_INTERNAL

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class ConfigError(LoaderError):
    """A setting is missing, is a placeholder or cannot be understood."""

    exit_code = EXIT_CONFIG

    def __init__(self, message: str, cause: str = "config_invalid") -> None:
        super().__init__(cause, message)


class ApiError(LoaderError):
    """The source refused, was unreachable, or served something that is not the API."""

    exit_code = EXIT_API


class ClickHouseError(LoaderError):
    """The server refused a statement or could not be reached."""

    exit_code = EXIT_CLICKHOUSE


class DataError(LoaderError):
    """What came cannot be trusted, or what was written is not what came."""

    exit_code = EXIT_DATA


class TerminatedError(LoaderError):
    """A signal asked the run to stop.

    :param signum: its number; the exit status is 128 more, as a shell has it
    """

    def __init__(self, signum: int, name: str) -> None:
        super().__init__("terminated", f"stopped by {name}; nothing of this run counts, the next one repairs it")
        self.exit_code = 128 + signum
