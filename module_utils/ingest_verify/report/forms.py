"""The forms of a report, all made of one model: HTML, Markdown, JUnit XML, metrics."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import ChainableUndefined, Environment, FileSystemLoader
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers.sql import SqlLexer

from ..findings import STAGES
from . import pictures, text
from .language import Language

TEMPLATES = Path(__file__).parent / "templates"
MAX_MARKDOWN_LINES = 80
# A statement's text is highlighted up to here: the spans make it ten times as long.
_MAX_HIGHLIGHTED = 3_000
_VALUE = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 2}


def _sql(statement: Any) -> Markup:
    shown = text.visible(statement)
    if len(shown) > _MAX_HIGHLIGHTED:
        return Markup('<pre class="sql">{}</pre>').format(shown)
    return Markup(highlight(shown, SqlLexer(), HtmlFormatter(cssclass="sql", nowrap=False)))  # noqa: S704 - it escapes


def _environment(language: Language, *, autoescape: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=autoescape,  # noqa: S701 - Markdown has an escaping of its own
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_callables(language.text, language.several, newstyle=True)  # type: ignore[attr-defined]
    environment.filters |= {
        "when": text.when, "length_of_time": text.duration, "visible": text.visible, "one_line": text.one_line,
        "md": text.markdown, "code": text.code, "sql": _sql, "cut": text.cut, "cell": text.cell,
        "cause_title": language.cause_title, "term": language.term, "headline": language.headline,
        "fix": language.fix, "side": language.side,
    }  # fmt: skip
    return environment


def to_html(model: Mapping[str, Any], language: Language) -> str:
    """One file with everything in it: no request leaves it, and every value of the model is escaped."""
    places = {place: language.term(place) for place, _ in pictures.PLACES}
    return _environment(language, autoescape=True).get_template("report.html.j2").render(
        report=model,
        language=language,
        stages=STAGES,
        timeline=Markup(pictures.timeline([e for e in model["timeline"] if e["kind"] == "stage"])),  # noqa: S704 - it escapes
        work=Markup(pictures.timeline([e for e in model["timeline"] if e["kind"] != "stage"])),  # noqa: S704
        flows=[
            (account, Markup(pictures.rows_flow(account, places, language.text)))  # noqa: S704
            for account in model["accounts"]
        ],
        style=Markup((TEMPLATES / "style.css").read_text("utf-8") + _highlight_style()),  # noqa: S704
        script=Markup((TEMPLATES / "script.js").read_text("utf-8")),  # noqa: S704
    )  # fmt: skip


def _highlight_style() -> str:
    light = HtmlFormatter(style="default").get_style_defs(".sql")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".sql")
    # Only the colours of words: the background is the page's.
    words = "\n".join(line for line in light.splitlines() if line.startswith(".sql ."))
    night = "\n".join(line for line in dark.splitlines() if line.startswith(".sql ."))
    return f"\n{words}\n@media screen and (prefers-color-scheme: dark) {{\n{night}\n}}\n"


def to_markdown(model: Mapping[str, Any], language: Language) -> str:
    """At most MAX_MARKDOWN_LINES lines, as they fit a ticket; what is left out is in report.html."""
    rendered = _environment(language, autoescape=False).get_template("report.md.j2").render(
        report=model, language=language, stages=STAGES
    )  # fmt: skip
    lines = re.sub(r"\n{3,}", "\n\n", rendered).strip().split("\n")
    if len(lines) > MAX_MARKDOWN_LINES:
        lines = lines[: MAX_MARKDOWN_LINES - 3]
        fences = [line for line in lines if line.startswith("~~~~")]
        lines += ["~~~~"] * (len(fences) % 2) + ["", language.text("The rest is in report.html.")]
    return "\n".join(lines) + "\n"


def to_junit(model: Mapping[str, Any]) -> str:
    """A case per stage, per data check and per target table, as CI systems show them."""
    xml = JUnitXml(f"verify {model['host']}")
    xml.add_testsuite(_stage_suite(model))
    checks = TestSuite("data checks")
    for check in model["checks"]:
        case = TestCase(_plain(check.get("name")), _plain(check.get("table")), check.get("seconds") or 0)
        status = check.get("status")
        reason = _plain(f"expected {check['expected']}, actual {check['actual']}")
        if status == "error":
            case.result = [Failure(reason, "check")]
        elif status == "skipped":
            case.result = [Skipped(_plain(check.get("reason") or check.get("actual")))]
        elif status == "warning":
            case.system_out = f"warning: {reason}"
        checks.add_testcase(case)
    xml.add_testsuite(checks)
    targets = TestSuite("targets")
    for account in model["accounts"]:
        case = TestCase(_plain(account.get("target")), "rows")
        if account.get("remainder"):
            case.result = [Failure(f"{account['remainder']} rows are unaccounted for", "rows")]
        elif account.get("unknown"):
            case.system_out = _plain("; ".join(account["unknown"]))
        targets.add_testcase(case)
    xml.add_testsuite(targets)
    rendered: bytes = xml.tostring()  # type: ignore[no-untyped-call]
    return rendered.decode("utf-8")


def _stage_suite(model: Mapping[str, Any]) -> TestSuite:
    suite = TestSuite("stages")
    began = text.parse_time(model.get("started_at"))
    # The format has no room for words: ISO 8601 in UTC.
    if began:
        suite.timestamp = began.isoformat()
    for name in STAGES:
        stage = model["stages"].get(name)
        case = TestCase(name, "stage", (stage or {}).get("duration_seconds") or 0)
        errors = [
            finding for finding in model["findings"] if finding["stage"] == name and finding["severity"] == "error"
        ]
        if stage is None:
            case.result = [Skipped("not run")]
        elif errors:
            case.result = [
                Failure(_plain(_with_check(finding)), _plain(finding.get("cause"))) for finding in errors[:20]
            ]
        elif stage.get("status") != "ok":
            case.result = [Error(_plain(stage.get("summary")) or "failed", "stage")]
        if name == "qtickets_ingest":
            case.system_out = "\n".join(
                text.visible(line) for line in (model.get("ingest") or {}).get("log_tail") or []
            )
        suite.add_testcase(case)
    return suite


def _with_check(finding: Mapping[str, Any]) -> str:
    check, headline = str(finding.get("check") or ""), str(finding.get("headline") or "")
    return headline if headline.startswith(check) else f"{check}: {headline}"


def _plain(value: Any) -> str:
    return text.one_line(value, 2000)


def to_metrics(model: Mapping[str, Any]) -> str:
    """Prometheus' text format, as node_exporter's textfile collector reads it."""
    lines = []

    def metric(name: str, help_text: str, samples: list[tuple[dict[str, Any], float]]) -> None:
        if samples:
            lines.append(f"# HELP ingest_verify_{name} {help_text}")
            lines.append(f"# TYPE ingest_verify_{name} gauge")
        for labels, value in samples:
            pairs = ",".join(f'{key}="{_label(label)}"' for key, label in {"host": model["host"], **labels}.items())
            lines.append(
                f"ingest_verify_{name}{{{pairs}}} {value:g}"
                if abs(value) < 1e6
                else f"ingest_verify_{name}{{{pairs}}} {value:.0f}"
            )

    metric("verdict", "0 PASS, 1 FAIL, 2 INCONCLUSIVE, 3 anything else.", [({}, _VALUE.get(model["verdict"], 3))])
    ended = text.parse_time(model["ended_at"])
    metric("last_run_timestamp_seconds", "When the run was judged.", [({}, ended.timestamp())] if ended else [])
    durations = [
        ({"stage": name}, stage["duration_seconds"])
        for name, stage in model["stages"].items()
        if stage.get("duration_seconds") is not None
    ]
    metric("stage_seconds", "How long a stage took.", durations)
    findings = [({"severity": severity}, count) for severity, count in sorted(model["counts"].items())]
    metric("findings", "Findings of the run.", findings)
    rows = [
        ({"table": account["target"]}, account["held"])
        for account in model["accounts"]
        if account.get("held") is not None
    ]
    metric("table_rows", "Rows that a target table holds.", rows)
    lost = [
        ({"table": account["target"]}, account["remainder"])
        for account in model["accounts"]
        if account.get("remainder") is not None
    ]
    metric("unaccounted_rows", "Rows of the run of which nothing says where they went.", lost)
    checks = [
        ({"check": check["name"], "table": check["table"]}, float(check["status"] in ("ok", "skipped")))
        for check in model["checks"]
        if check.get("kind") == "freshness"
    ]
    metric("fresh", "1 where the newest row is young enough.", checks)
    return "\n".join(lines) + "\n"


def _label(value: Any) -> str:
    return text.one_line(value, 200).replace("\\", "\\\\").replace('"', '\\"')
