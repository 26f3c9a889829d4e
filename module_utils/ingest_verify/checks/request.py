"""The module's options, read and validated before anything is sent."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..audit import AuditError, Entity, read_mapping
from ..contract import ContractError, parse_contract
from .declarations import DEFAULT_SECONDS, Check, DeclarationError, parse_checks
from .run import Run

_LIMITS = ("seconds", "rows_shown", "look_back_minutes")


@dataclass
class Limits:
    """Limits of all checks: seconds of one query, offending rows shown, minutes to look back without a window."""

    seconds: float = DEFAULT_SECONDS
    rows_shown: int = 5
    look_back_minutes: float = 5.0


@dataclass
class AuditRequest:
    """What the source was asked again: `answer` is what the program printed, `wanted` whether somebody asked for it."""

    entities: list[Entity]
    answer: str | None = None
    wanted: bool = False


@dataclass
class Request:
    """What is to be checked. `contract_held` says that the contract was right when the schema stage of this run ended.

    `overview` are queries whose rows are only shown (`name`, `query`). `expected_tables` must have rows of this run as
    the server's query_log tells them, unless a volume check looks at them already.
    """

    database: str
    checks: list[Check]
    run: Run = field(default_factory=Run)
    limits: Limits = field(default_factory=Limits)
    history: list[dict[str, Any]] = field(default_factory=list)
    overview: list[dict[str, str]] = field(default_factory=list)
    expected_tables: list[str] = field(default_factory=list)
    audit: AuditRequest | None = None
    contract: dict[str, dict[str, Any]] = field(default_factory=dict)
    contract_held: bool = False


def read_request(params: Mapping[str, Any]) -> Request:
    """Read the module's options; raises DeclarationError with the place of the first one that cannot be used."""
    limits = _read_limits(params.get("limits") or {})
    run = params.get("run") or {}
    expected = run.get("expected_tables") or []
    if not isinstance(expected, list) or not all(isinstance(name, str) and name for name in expected):
        raise DeclarationError("run.expected_tables", f"expected a list of table names, found {expected!r}")
    overview = []
    for index, item in enumerate(params.get("overview") or []):
        if not isinstance(item, Mapping) or not item.get("name") or not str(item.get("query") or "").strip():
            raise DeclarationError(f"overview[{index}]", f"expected name and query, found {item!r}")
        overview.append({"name": str(item["name"]), "query": str(item["query"])})
    history = [dict(entry) for entry in params.get("history") or []]
    history += parse_history(params.get("history_lines") or [])
    history = [entry for entry in history if isinstance(entry.get("figures"), Mapping)]
    checks = parse_checks(params["checks"], seconds=limits.seconds)
    extra = params.get("extra_checks") or []
    checks += parse_checks(extra, place="verify_data_extra_checks", seconds=limits.seconds, beside=checks)
    return Request(
        database=str(params.get("database") or ""),
        checks=checks,
        run=Run.read(run),
        limits=limits,
        history=history,
        overview=overview,
        expected_tables=expected,
        audit=_read_audit(params.get("audit") or {}),
        contract=_read_contract(params.get("contract") or {}),
        contract_held=bool(params.get("contract_held")),
    )


def _read_audit(data: Mapping[str, Any]) -> AuditRequest | None:
    if not data:
        return None
    try:
        entities = read_mapping(data.get("entities") or {})
    except AuditError as error:
        raise DeclarationError("audit", str(error)) from error
    answer = None
    if file := data.get("answer_file"):
        try:
            answer = Path(file).read_text(errors="replace")
        except OSError as error:
            raise DeclarationError("audit.answer_file", f"cannot be read: {error.strerror}") from error
    return AuditRequest(entities, answer, str(data.get("wanted")).lower() == "true")


def _read_contract(data: Any) -> dict[str, dict[str, Any]]:
    try:
        return parse_contract(data)
    except ContractError as error:
        raise DeclarationError("contract", str(error)) from error


def parse_history(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Entries of earlier runs, one JSON object per line.

    A line cut by a full disk or a killed run is passed over: it must not take the history with it.
    """
    entries = []
    for line in lines:
        with contextlib.suppress(ValueError):
            entries.append(json.loads(line))
    return [entry for entry in entries if isinstance(entry, dict)]


def _read_limits(data: Mapping[str, Any]) -> Limits:
    numbers: dict[str, float] = {}
    for key, value in data.items():
        if key not in _LIMITS:
            raise DeclarationError(f"limits.{key}", f"not known; expected one of {', '.join(_LIMITS)}")
        try:
            numbers[key] = float(value)
        except (TypeError, ValueError):
            raise DeclarationError(f"limits.{key}", f"expected a number, found {value!r}") from None
        if not 0 < numbers[key] < 1e6:
            raise DeclarationError(f"limits.{key}", f"expected a number above 0, found {value!r}")
    default = Limits()
    return Limits(
        numbers.get("seconds", default.seconds),
        int(numbers.get("rows_shown", default.rows_shown)),
        numbers.get("look_back_minutes", default.look_back_minutes),
    )
