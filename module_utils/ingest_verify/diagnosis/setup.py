"""Where this server runs, and so where somebody looks why it went down."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any


def look_at_server(setup: Mapping[str, Any] | None) -> str:
    """The commands that show why the server of this set-up went down; `setup` as in the module's `server_setup`."""
    known = setup or {}
    backend, place = known.get("backend"), str(known.get("place") or "")
    if backend == "embedded" and place:
        log = shlex.quote(f"{place}/log/clickhouse-server.log")
        return (
            f"Read the engine's log: tail -n 50 {log}\n"
            "Was it killed for memory? sudo dmesg -T | grep -i -E 'killed process|out of memory'\n"
            f"Is it running? python -m embedded status --dir {shlex.quote(place)}"
        )
    if backend == "compose":
        name = shlex.quote(str(known.get("container") or "<container>"))
        return (
            f"Read its state: docker inspect -f '{{{{json .State}}}}' {name}\n"
            f"Read its log: docker logs --tail 50 {name}"
        )
    return (
        "On the server's host read its error log: tail -n 50 /var/log/clickhouse-server/clickhouse-server.err.log\n"
        "Was it killed for memory? sudo dmesg -T | grep -i -E 'killed process|out of memory'"
    )
