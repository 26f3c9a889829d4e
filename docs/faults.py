"""Write docs/reference/faults.md: each row of the failure catalogue, how it is played, what the run says.

FAULTS_SAID=/tmp/said.jsonl python -m pytest tests/faults tests/docker && python docs/faults.py /tmp/said.jsonl
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "faults.md"
NOTE = "<!-- Written by `python docs/faults.py` from a run of the tests that play the rows; change those instead. -->\n"

ROWS = {
    1: "table or database missing",
    2: "column missing",
    3: "column type does not take the value",
    4: "number or order of columns",
    5: "missing grant",
    6: "wrong password or unknown user",
    7: "user not allowed from this address",
    8: "read-only profile or quota exceeded",
    9: "memory limit",
    10: "too many parts",
    11: "no space left",
    12: "timeout",
    13: "a materialized view failed while the INSERT pushed to it",
    14: "an asynchronous insert that was accepted and failed later",
    15: "SQL that this server version does not accept",
    16: "an exception whose text is only a number or a quoted name",
    17: "a value that cannot be serialized into the column",
    18: "a client that breaks off in the middle of an INSERT stream",
    19: "a transform that raises",
    20: "unknown host, refused connection, wrong port or protocol, TLS against a plain port",
    21: "the server listens on loopback inside its container",
    22: "killed for memory, no such command, not executable, hangs",
    23: "401 or 403",
    24: "429 or 5xx that lasts",
    25: "HTML with status 200, broken JSON, a field missing or of another type",
    26: "no orders at all",
    27: "filter ignored",
    28: "pages that repeat or skip",
    29: "one show's seats fail and the job still says ok",
    30: "the API is slower than the time limit allows",
    31: "DRY_RUN left on",
    32: "placeholder or empty token or organisation",
    33: "env file missing, unreadable, world-readable, with Windows line ends or quotes",
    34: "database name of another environment",
    35: "time zones differ",
    36: "image older than its source",
    37: "log_queries off, sampled, or with a minimum duration or type",
    38: "query_log or text_log not configured",
    39: "flush lag",
    40: "rotated tables after an upgrade",
    41: "query text cut",
    42: "SET GLOBAL log_queries = 1",
    43: "the reader lacks the grant to read system tables",
    44: "INCONCLUSIVE whenever a failing canary cannot be found again",
    45: "ok with 0 rows",
    46: "rows_processed differs from what was written or served",
    47: "only an earlier run's rows are there",
    48: "max() of an empty table is 1970-01-01",
    49: "duplicates",
    50: "a daily aggregate that disagrees with its staging rows",
    51: "a wrapped integer, NULL as a default, money through floats",
    52: "a run record that is not right",
    53: "failing queries of others in the window",
    54: "errors from before the window",
    55: "failed and succeeded on retry",
    56: "Docker engine down or not permitted",
    57: "port taken",
    58: "container unhealthy",
    59: "two runs at once",
    60: "server restarted in mid-run",
    61: "disk nearly full",
    62: "the control node lacks a Python package",
}
# How a row is played, where the test's own words do not tell.
HOW = {
    14: "the embedded engine inserts synchronously, so the rows a server would log are written into its log table",
    17: "with clickhouse-connect and with native drivers",
    20: "with closed ports, swapped ports, TLS against a plain port",
    21: "with a server that listens on 127.0.0.1 in its container",
    35: "with rows some hours ahead",
    36: "with a source file changed after the build",
    39: "every judgement waits for a marker statement of its own instead of sleeping",
    42: "named in the next step of rows 37 and 38",
    54: "`test_join_causes.py`, failures before the window, listed as noise like those of row 53",
    56: "with a socket that nobody serves",
    57: "with the port held by a process and by a container",
    58: "with an image that never becomes a server",
    59: "with a second run beside the first",
    60: "with a killed server, and with a faked uptime",
    61: "with more space asked for than there is",
    62: "with a target that has no Python packages",
}


def plain(words: str, database: str) -> str:
    """`words` without what differs from run to run: names of databases, folders and ports of the tests."""
    if database:
        words = words.replace(database, "zakaz")
    words = re.sub(r"\btest_[0-9a-f]{12}\b", "zakaz", words)
    words = re.sub(r"\b(shop|t)[0-9a-f]{6,8}(?=[_-])", r"\1", words)
    words = words.replace(f"{ROOT}/", "")
    words = re.sub(r"/tmp/[^\s:]*/", "", words)  # noqa: S108 - a text, not a file
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", words)


def cell(text: object) -> str:
    """`text` as one table cell."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def page(said: Path) -> str:
    """The page from the notes of a run of tests/faults."""
    notes: dict[int, list[dict[str, object]]] = {}
    for line in said.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        notes.setdefault(int(entry["row"]), []).append(entry)
    lines = [
        "# Faults, and what the run says\n",
        NOTE,
        "Each row of the failure catalogue with the tests that play it and what the run said in one of them. "
        "Each test plays the healthy twin too, and expects silence.\n",
        "| row | fault | played by | cause class | what the run says |",
        "| ---: | --- | --- | --- | --- |",
    ]
    for row, title in ROWS.items():
        entries = notes.get(row, [])
        tests = sorted({str(entry["test"]).partition("::")[0].removeprefix("tests/") for entry in entries})
        played = "; ".join([*(f"`{test}`" for test in tests), *([HOW[row]] if row in HOW else [])])
        causes = sorted({str(entry["cause"]) for entry in entries})
        words = ""
        if entries:
            # A test that bears the row's number, else one with its usual cause, whatever the order in which they ran.
            usual, _ = Counter(sorted(str(entry["cause"]) for entry in entries)).most_common(1)[0]
            own = [entry for entry in entries if f"_row_{row}_" in str(entry["test"])]
            own = own or [entry for entry in entries if entry["cause"] == usual]
            shown = min(own, key=lambda entry: str(entry["test"]))
            words = plain(str(shown["headline"]), str(shown.get("database") or ""))
        lines.append(
            f"| {row} | {cell(title)} | {cell(played or 'not played')} |"
            f" {', '.join(f'`{cause}`' for cause in causes)} | {cell(words[:300])} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(Path(sys.argv[1])), encoding="utf-8")
