"""The model of a report, made of the run's ledger and of what lies beside it: the content of report.json."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from ..facts.recorded import read_recorded
from ..facts.served import readings
from ..findings import STAGES
from .text import cut, one_line, parse_time, seconds_between, visible

FORMAT = "clickhouse-ingest-verify/report"
# Of the format: the first number changes where a reader must change, the second where something came along.
VERSION = "1.1"

# What one report may hold, so that it opens at once whatever the run met. What is cut is said.
MAX_FINDINGS = 200
MAX_TEXT = 12_000
MAX_TEXTS = 1_000_000
MAX_ROWS = 50
MAX_EVENTS = 300
MAX_READINGS = 20
TAIL_LINES = 40
_TAIL_BYTES = 64 << 10
_MAX_EXTRACT = 32 << 20

Translate = Callable[[str], str]
_SEVERITIES = {"error": 0, "warning": 1, "info": 2}
_LONG_TEXTS = ("sql", "exception", "traceback")


def build_model(
    ledger: Mapping[str, Any], folder: Path, *, translate: Translate = str, comparison: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The report of the run whose ledger this is; `folder` holds its evidence.

    Whatever a stage did not leave is missing in the report and named in `missing`; nothing is raised for it.
    """
    _ = translate
    notes = _Notes(_)
    findings = _findings(ledger.get("findings") or [], notes)
    stages = {name: _stage(stage) for name, stage in (ledger.get("stages") or {}).items() if isinstance(stage, Mapping)}
    data = stages.get("verify_data", {})
    model: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "run_id": ledger.get("run_id", ""),
        "host": ledger.get("host", ""),
        "backend": ledger.get("backend", ""),
        "verdict": ledger.get("verdict", ""),
        "headline": "",
        "summary": "",
        "started_at": ledger.get("started_at", ""),
        "ended_at": ledger.get("ended_at", ""),
        "duration_seconds": seconds_between(ledger.get("started_at"), ledger.get("ended_at")),
        "counts": dict(Counter(str(finding.get("severity")) for finding in ledger.get("findings") or [])),
        "findings": findings,
        "stages": stages,
        "timeline": _timeline(stages, ledger, folder, notes),
        "served": _served(folder, notes),
        "accounts": _accounts(data, notes),
        "checks": _checks(data, ledger.get("findings") or [], notes),
        "freshness": _freshness(data),
        "trend": _trend(data, notes),
        "server": ledger.get("server") or {},
        "window": ledger.get("window") or {},
        "ingest": {**(ledger.get("ingest") or {}), "log_tail": _tail(folder / "ingest.log", notes)},
        "evidence": ledger.get("evidence") or {},
        "environment": _environment(ledger),
        "changes": list(ledger.get("changes") or []),
        "comparison": dict(comparison or {}),
        "reproduce": _reproduce(ledger),
        "files": sorted(ledger.get("files") or []),
    }
    for key in [key for key in ("window", "server") if not model[key]]:
        del model[key]
    if "ingest" not in ledger:
        notes.missing(_("The ingest did not run, or was stopped before its end was recorded."))
        tail = model.pop("ingest")["log_tail"]
        if tail:
            model["ingest"] = {"log_tail": tail}
    model["headline"] = _headline(model, ledger.get("undecided"), _)
    model["summary"] = _summary(model, _)
    model["cut"], model["missing"] = notes.cut_texts, notes.missing_texts
    return model


class _Notes:
    """What the report leaves out, in sentences, and how much text it may still take."""

    def __init__(self, translate: Translate) -> None:
        self.cut_texts: list[str] = []
        self.missing_texts: list[str] = []
        self.translate = translate
        self._left = MAX_TEXTS

    def cut(self, text: str) -> None:
        if text not in self.cut_texts:
            self.cut_texts.append(text)

    def missing(self, text: str) -> None:
        if text not in self.missing_texts:
            self.missing_texts.append(text)

    def shorten(self, text: Any, what: str) -> str:
        """The text, cut where it is long or where the report is full; what was cut is noted once per kind."""
        limit = MAX_TEXT if self._left > MAX_TEXT else 500
        shown = cut(text, limit)
        if len(shown) < len(str(text)):
            self.cut(self.translate("Long texts are shown with their beginning and end: {what}.").format(what=what))
        self._left -= len(shown)
        return shown


def _findings(given: Sequence[Mapping[str, Any]], notes: _Notes) -> list[dict[str, Any]]:
    ordered = sorted(given, key=lambda finding: _SEVERITIES.get(str(finding.get("severity")), 3))
    if len(ordered) > MAX_FINDINGS:
        notes.cut(
            notes.translate(
                "{total} findings were made; the first {shown} by severity are shown, all are in run.json."
            ).format(total=len(ordered), shown=MAX_FINDINGS)
        )
    found = []
    for number, finding in enumerate(islice(ordered, MAX_FINDINGS), 1):
        evidence = dict(finding.get("evidence") or {})
        for key in _LONG_TEXTS:
            if evidence.get(key):
                evidence[key] = notes.shorten(evidence[key], key)
        rows = evidence.get("rows") or []
        if rows:
            evidence["rows"] = _rows(rows, notes)
        texts = {
            key: notes.shorten(finding[key], key)
            for key in ("headline", "expected", "actual", "next_step")
            if finding.get(key) is not None
        }
        found.append({"id": f"F{number}", **finding, **texts, **({"evidence": evidence} if evidence else {})})
        if evidence.get("check"):
            found[-1]["check"] = one_line(evidence["check"])
    return found


def _rows(rows: Sequence[Any], notes: _Notes) -> list[dict[str, Any]]:
    if len(rows) > MAX_ROWS:
        notes.cut(notes.translate("Of long tables the first {rows} rows are shown.").format(rows=MAX_ROWS))
    return [
        {
            visible(key): value if isinstance(value, int | float | None) else cut(value, 2000)
            for key, value in row.items()
        }
        for row in rows[:MAX_ROWS]
        if isinstance(row, Mapping)
    ]


def _stage(stage: Mapping[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in stage.items() if key not in ("accounts", "checks", "history")}
    return {**shown, "duration_seconds": seconds_between(stage.get("started_at"), stage.get("ended_at")), **(
        {key: stage[key] for key in ("accounts", "checks", "history") if key in stage}
    )}  # fmt: skip


def _timeline(
    stages: Mapping[str, Mapping[str, Any]], ledger: Mapping[str, Any], folder: Path, notes: _Notes
) -> list[dict[str, Any]]:
    """Stages, statements and exchanges with begin and end (ISO 8601, UTC), each as far as it is known."""
    events = [
        {"kind": "stage", "label": name, "from": stages[name].get("started_at"), "to": stages[name].get("ended_at"),
         "status": stages[name].get("status", "")}
        for name in STAGES
        if name in stages
    ]  # fmt: skip
    found = [*_statements(folder, notes), *_recorded(folder, notes)]
    found.sort(key=lambda event: str(event["from"]))
    if len(found) > MAX_EVENTS:
        notes.cut(
            notes.translate(
                "The timeline shows {shown} of {total} statements and exchanges, failed ones first."
            ).format(shown=MAX_EVENTS, total=len(found))
        )
        found.sort(key=lambda event: event["status"] != "failed")
        found = sorted(found[:MAX_EVENTS], key=lambda event: str(event["from"]))
    return events + found


def _read_lines(path: Path, notes: _Notes) -> Iterable[dict[str, Any]]:
    """The records of a file with one JSON object per line; damaged lines are counted as missing."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            text = stream.read(_MAX_EXTRACT)
    except FileNotFoundError:
        return
    except OSError as error:
        notes.missing(notes.translate("{file} could not be read: {why}.").format(file=path.name, why=error.strerror))
        return
    damaged = 0
    for line in text.splitlines():
        if line.startswith("[... "):  # what `bundle` left out, which is said already
            continue
        try:
            record = json.loads(line)
        except ValueError:
            damaged += 1
            continue
        if isinstance(record, dict):
            yield record
    if damaged:
        notes.missing(notes.translate("{file} has {count} damaged lines.").format(file=path.name, count=damaged))


def _statements(folder: Path, notes: _Notes) -> list[dict[str, Any]]:
    found = []
    for row in _read_lines(folder / "query_log.jsonl", notes):
        if row.get("event") == "QueryStart" or not row.get("time"):
            continue
        end = parse_time(row["time"])
        if end is None:
            continue
        length = float(row.get("duration_ms") or 0) / 1000
        failed = bool(row.get("exception_code"))
        found.append({
            "kind": "statement", "label": one_line(row.get("query"), 160), "from": _iso(end.timestamp() - length),
            "to": _iso(end.timestamp()), "status": "failed" if failed else "ok", "rows": row.get("written") or None,
            "detail": one_line(row.get("exception"), 300) if failed else "", "query_id": row.get("query_id"),
        })  # fmt: skip
    return found


def _recorded(folder: Path, notes: _Notes) -> list[dict[str, Any]]:
    """Exchanges and exceptions that the recorder saw inside the ingest's process."""
    found = []
    for event in _read_lines(folder / "recorder.jsonl", notes):
        kind, end = event.get("e"), parse_time(event.get("t"))
        if kind not in ("exchange", "exception") or end is None:
            continue
        length = 0.0
        if kind == "exchange":
            status, error = event.get("status"), event.get("error")
            length = float(event["ms"]) / 1000 if isinstance(event.get("ms"), int | float) else 0.0
            failed = bool(error) or (isinstance(status, int) and status >= 400)
            label = (
                f"{event.get('method') or event.get('client') or ''} {event.get('host', '')}{event.get('path') or ''}"
            )
            detail = str(error or (f"HTTP {status}" if status else ""))
        else:
            link = next(iter(event.get("chain") or []), None)
            if not isinstance(link, dict):
                continue
            failed, label, detail = True, str(link.get("type") or "exception"), str(link.get("text") or "")
        at = end - timedelta(seconds=length)
        found.append({
            "kind": kind, "label": one_line(label, 160), "from": _iso(at.timestamp()),
            "to": _iso(end.timestamp()),
            "status": "failed" if failed else "ok", "detail": one_line(detail, 300),
        })  # fmt: skip
    return found


def _iso(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds")


def _served(folder: Path, notes: _Notes) -> list[dict[str, Any]]:
    """What the source's own paging told against what the loader read, by the recorder; one entry per question."""
    path = folder / "recorder.jsonl"
    found = readings(read_recorded(path)) if path.exists() else []
    if len(found) > MAX_READINGS:
        notes.cut(
            notes.translate("The source was asked {total} questions; the {shown} with most records are shown.").format(
                total=len(found), shown=MAX_READINGS
            )
        )
    return [
        {
            "source": one_line(f"{reading.host}:{reading.port}{reading.path}", 200),
            "told": reading.total,
            "pages_told": reading.pages,
            "read": reading.records,
            "answers": reading.answers,
            "whole": reading.whole,
        }
        for reading in found[:MAX_READINGS]
    ]


def _accounts(data: Mapping[str, Any], notes: _Notes) -> list[dict[str, Any]]:
    accounts = [dict(account) for account in data.get("accounts") or [] if isinstance(account, Mapping)]
    if not accounts:
        notes.missing(notes.translate("No rows' account: the data checks did not run, or no target table is known."))
    return accounts


def _checks(data: Mapping[str, Any], findings: Sequence[Mapping[str, Any]], notes: _Notes) -> list[dict[str, Any]]:
    checks = data.get("checks") or (data.get("tables") or {}).get("Data checks") or []
    failing: dict[str, list[Any]] = {}
    for finding in findings:
        evidence = finding.get("evidence") or {}
        if evidence.get("check") and evidence.get("rows"):
            failing.setdefault(str(evidence["check"]), []).extend(evidence["rows"])
    shown = []
    for check in checks:
        rows = failing.get(str(check.get("name")), [])
        shown.append(
            {
                **{key: check.get(key) for key in ("name", "kind", "table", "severity", "status", "seconds", "reason")},
                "expected": notes.shorten(check.get("expected") or "", "expected"),
                "actual": notes.shorten(check.get("actual") or "", "actual"),
                "rows": _rows(rows, notes),
            }
        )
    return shown


def _freshness(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = [
        {"table": check.get("table"), "check": check.get("name"), "status": check.get("status"),
         "expected": check.get("expected"), "actual": check.get("actual")}
        for check in data.get("checks") or []
        if check.get("kind") == "freshness"
    ]  # fmt: skip
    newest = (data.get("tables") or {}).get("Staging tables, rows and newest times") or []
    return found + [{"table": row.get("table"), "rows": row.get("rows"), "newest": row.get("newest")} for row in newest]


def _trend(data: Mapping[str, Any], notes: _Notes) -> list[dict[str, Any]]:
    history = data.get("history") or (data.get("tables") or {}).get("Last runs") or []
    if len(history) < 2:
        notes.missing(notes.translate("No trend: no earlier run of this host has left figures."))
    return [dict(row) for row in history[-10:]]


def _environment(ledger: Mapping[str, Any]) -> dict[str, Any]:
    server, ingest = ledger.get("server") or {}, ledger.get("ingest") or {}
    snapshot = ledger.get("snapshot") or {}
    known = {
        "ClickHouse": server.get("version"),
        "address": f"{server['host']}:{server['port']}" if server.get("host") else None,
        "time zone of the server": server.get("timezone"),
        "ingest's user": ingest.get("user"),
        "ingest's command": ingest.get("command"),
        "ingest's image": ingest.get("image"),
        "image id": ingest.get("image_id"),
        "image made": ingest.get("image_created"),
        **(snapshot.get("versions") or {}),
    }
    return {
        "facts": {name: value for name, value in known.items() if value},
        "ingest_variables": ingest.get("env") or {},
        "settings_changed": snapshot.get("settings_changed") or {},
    }


def _reproduce(ledger: Mapping[str, Any]) -> list[str]:
    run_id = ledger.get("run_id", "")
    window = ledger.get("window") or {}
    commands = [
        ledger.get("command") or "ansible-playbook verify.yml -i <inventory>",
        f"ansible-playbook playbooks/report.yml -i <inventory> -e run_id={run_id}",
    ]
    if window.get("from"):
        commands.append(
            f"ansible-playbook playbooks/diagnose.yml -i <inventory> -e \"since='{window['from']}'\""
            + (f" -e \"until='{window['to']}'\"" if window.get("to") else "")
        )
    return commands


def _tail(path: Path, notes: _Notes) -> list[str]:
    try:
        with path.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - _TAIL_BYTES))
            text = stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        notes.missing(notes.translate("{file} could not be read: {why}.").format(file=path.name, why=error.strerror))
        return []
    lines = text.splitlines()
    return [one_line(line, 500) for line in lines[-TAIL_LINES:]]


def _headline(model: Mapping[str, Any], undecided: object, _: Translate) -> str:
    errors = [finding for finding in model["findings"] if finding.get("severity") == "error"]
    if errors:
        return one_line(errors[0].get("headline"), 400)
    if model["verdict"] == "PASS":
        return _("Every stage that ran is proven.")
    texts = {
        "INCONCLUSIVE": _("The evidence was not proven, so nothing can be said."),
        "INTERRUPTED": _("The run was stopped before its end."),
        "NOTHING RUN": _("No stage ran."),
    }
    text = texts.get(str(model["verdict"]), _("The run has no verdict."))
    return f"{text} {one_line(undecided)}" if undecided and model["verdict"] == "INCONCLUSIVE" else text


def _summary(model: Mapping[str, Any], _: Translate) -> str:
    ran = [name for name in STAGES if name in model["stages"]]
    failed = [name for name in ran if model["stages"][name].get("status") != "ok"]
    parts = [_("{count} of {total} stages ran").format(count=len(ran), total=len(STAGES))]
    if failed:
        parts.append(_("failed: {names}").format(names=", ".join(failed)))
    checks = Counter(str(check.get("status")) for check in model["checks"])
    if checks:
        parts.append(_("checks: {counts}").format(counts=", ".join(f"{n} {status}" for status, n in checks.items())))
    counts = model["counts"]
    parts.append(
        _("errors: {errors}, warnings: {warnings}").format(
            errors=counts.get("error", 0), warnings=counts.get("warning", 0)
        )
    )
    return "; ".join(parts) + "."
