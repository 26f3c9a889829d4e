"""A session that takes the bytes of a SQL file as they are, UTF-8 or not, and gives back errors that quote them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clickhouse_driver import Client, errors
from clickhouse_driver.reader import read_binary_bytes, read_binary_int32, read_binary_uint8

from .client import connect


class Exact(str):
    """SQL text with surrogates for bytes that are not UTF-8; the driver sends the very bytes of the file."""

    def encode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> bytes:
        return super().encode(encoding, "surrogateescape")


def open_session(params: Mapping[str, Any]) -> Client:
    """A connection as from `connect`, whose errors may quote bytes that are not UTF-8. Raises ConnectError."""
    client = connect(params, bounds={})  # the file's statements are not the verifier's own
    client.connection.receive_exception = lambda: _read_exception(client.connection.fin)
    return client


def _read_exception(stream: Any) -> errors.ServerException:
    """The driver's `read_exception` with lenient decoding; the stack trace is left out."""
    code = read_binary_int32(stream)
    name, message, _ = (read_binary_bytes(stream).decode("utf-8", "replace") for _ in range(3))
    nested = _read_exception(stream) if read_binary_uint8(stream) else None
    return errors.ServerException(message if name == "DB::Exception" else f"{name}. {message}", code, nested=nested)


def readable(text: str) -> str:
    """`text` for people and for JSON: bytes that are not UTF-8 become the replacement character."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
