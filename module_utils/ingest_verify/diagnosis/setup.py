"""Where this server runs, and so where somebody looks why it went down."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from ..findings import Finding

_MAKES = ("server_missing_table", "server_missing_database", "server_missing_dictionary")
_CHANGES_A_TABLE = re.compile(r"ALTER TABLE \S+ (?:ADD|MODIFY) COLUMN")


def name_schema_file(finding: Finding, setup: Mapping[str, Any] | None) -> None:
    """Where a play applies a schema file, a table has to be made and a column to be changed there: a server that starts
    empty has only what the file says. Without a file nobody is sent to it."""
    known = setup or {}
    file = str(known.get("schema_file") or "")
    if not file or not finding.next_step:
        return
    if finding.cause in _MAKES and finding.next_step.startswith("Create it"):
        way = f"Create it in {file} and apply the schema (ansible-playbook verify.yml --tags schema_apply)"
        finding.next_step = way + finding.next_step.removeprefix("Create it")
        return
    if not _CHANGES_A_TABLE.search(finding.next_step):
        return
    if known.get("mode") == "fresh":
        finding.next_step = (
            f"Where the table is what is wrong, correct its CREATE TABLE in {file}. This run started the server empty "
            f"and made the table from that file, so a change on the server alone is gone at the next run.\n"
            f"{finding.next_step}"
        )
    else:
        finding.next_step += f"\nWrite the same into {file}: a server that is made anew has only what that file says."


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
