"""What the loader's own last line says: the cause that it names itself, and its counts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...facts.log.errors import ClientError, http_status, server_code
from ...masking import mask
from . import context as about
from . import qtickets, source_rules
from .candidates import Candidate
from .context import Context, Judged
from .rules import judge


def cause_in_outcome(outcome: Mapping[str, Any], context: Context, served: Sequence[ClientError]) -> Candidate | None:
    """The cause that a loader names itself in its outcome line (names of ingest/README.md), None for other loaders."""
    cause, message = outcome.get("cause"), mask(str(outcome.get("message") or outcome.get("error") or ""))
    if not isinstance(cause, str) or not cause:
        return None
    kind = str(outcome.get("error_type") or "") or None
    text = f"{kind}: {message}" if kind else message
    error = ClientError(kind, message, text=text, http_status=http_status(text), server_code=server_code(text))
    judged: Judged | None = None
    if cause in ("api_unauthorized", "api_rate_limited", "api_server_error", "api_http_error", "api_not_found"):
        usual = {"api_unauthorized": 401, "api_rate_limited": 429, "api_server_error": 503, "api_not_found": 404}
        status = error.http_status or usual.get(cause, 400)
        # The named cause decides the class, the status only its number.
        status = status if cause != "api_unauthorized" or status in (401, 403) else 401
        judged = source_rules.api_status(status, message, "", context)
    elif cause == "api_timeout":
        judged = source_rules.api_slow(error, context, about.API)
    elif cause == "api_unreachable":
        judged = source_rules.api_unreachable(error, context, about.API)
    elif cause in ("api_html", "api_broken_json", "api_not_json", "api_unexpected_shape", "too_many_invalid"):
        judged = source_rules.bad_payload(message, "", context, html=cause == "api_html")
    elif cause == "api_paging_unstable":
        judged = source_rules.unstable_pages(message, context)
    elif cause == "api_filter_ignored":
        judged = source_rules.filter_ignored(message, context)
    elif cause.startswith("config_"):
        judged = _configuration(cause, message)
    elif cause == "orders_vanished":
        judged = _named("source_orders_vanished", message, qtickets.ACCOUNT, about.SOURCE)
    elif cause in ("facts_differ", "staging_differs"):
        step = "Look at the checks of verify_data: they name the table and the column; then run again."
        judged = _named(f"data_{cause}", message, step, about.SCHEMA)
    elif cause == "clickhouse_restarted":
        judged = _named(
            "server_restarted", message, "Look why it restarted (docker logs), then run again.", about.SERVER
        )
    elif cause.startswith("clickhouse_") and not served and error.server_code is None:
        error.text = f"ClickHouse: {text}"
        judged = judge(error, context)
        judged.generic = False
    return Candidate(error, judged) if judged else None


def _named(cause: str, message: str, step: str, side: str) -> Judged:
    return Judged(cause, f"The loader says: {message}", step, side)


def _configuration(cause: str, message: str) -> Judged:
    placeholder = bool(re.search(r"placeholder|empty|missing", message))
    name = re.search(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b", message)
    return Judged(
        "config_placeholder" if placeholder else "config_env_file",
        f"The loader refuses its settings ({cause}): {message}",
        f"Correct {name[0] if name else 'the setting that it names'} in the ingest's env file and run again.",
        about.CONFIGURATION,
        object=name[0] if name else None,
    )


def metric(outcome: Mapping[str, Any], *path: str) -> Any:
    """One of the loader's own counts, None when it has none of that name."""
    value: Any = outcome.get("metrics")
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
