"""Write the pages that other sources hold: roles.md and modules.md from their own documentation, causes.md and
troubleshooting.md from the catalogue.

`python docs/generate.py` writes them; `--check` only says whether they are up to date (exit status 1 when not).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
NOTE = "<!-- Written by `python docs/generate.py`; change the sources, not this file. -->\n"


def text(description: Any) -> str:
    """A description (string or list of paragraphs) as one table cell, Ansible's markup as code."""
    joined = " ".join(description) if isinstance(description, list) else str(description or "")
    joined = re.sub(r"\b[CVOR]\(([^)]*)\)", r"`\1`", joined)
    return " ".join(joined.split()).replace("|", "\\|")


def option_rows(options: dict[str, Any]) -> list[str]:
    """One table row per option: name, type with choices, default, description."""
    rows = ["| option | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, option in options.items():
        kind = option.get("type", "str") + (f" of {option['elements']}" if option.get("elements") else "")
        if option.get("choices"):
            kind += ": " + ", ".join(f"`{choice}`" for choice in option["choices"])
        default = "required" if option.get("required") else f"`{option.get('default', '')}`".replace("|", "\\|")
        rows.append(f"| `{name}` | {kind} | {default} | {text(option.get('description'))} |")
    return rows


# What a reader looks for first, in this order; what stands in no group is found under the last one.
ROLE_GROUPS = {
    "What you set most": ["qtickets_ingest", "verify_data", "run_report"],
    "The other stages": ["clickhouse_reset", "schema_apply", "query_logging", "run_diagnosis"],
    "What every stage shares": ["run_context"],
}
MODULE_GROUPS = {
    "Of use alone, for any ingest": [
        "clickhouse_query_errors",
        "clickhouse_checks",
        "clickhouse_script",
        "clickhouse_contract",
    ],
    "Server and ingest": [
        "clickhouse_info",
        "clickhouse_window",
        "clickhouse_query_logging",
        "ingest_process",
        "container_run",
    ],
    "Parts of a run": [],
}


def grouped(found: dict[str, Path], groups: dict[str, list[str]]) -> tuple[list[str], list[Path]]:
    """A list of contents by group, and the paths in that order."""
    last = list(groups)[-1]
    rest = [name for name in sorted(found) if not any(name in names for names in groups.values())]
    groups = {**groups, last: groups[last] + rest}
    contents = [
        f"- {title}: {', '.join(f'[{name}](#{name})' for name in names if name in found)}"
        for title, names in groups.items()
    ]
    return [*contents, ""], [found[name] for names in groups.values() for name in names if name in found]


def roles_page() -> str:
    """Every role's entry points with their options."""
    lines = [
        "# Roles",
        "",
        NOTE,
        "New here? The [ten variables of a first day](../how-to/first-day.md) are enough.",
        "",
    ]
    found = {path.parts[-3]: path for path in ROOT.glob("roles/*/meta/argument_specs.yml")}
    contents, paths = grouped(found, ROLE_GROUPS)
    lines += contents
    for path in paths:
        specs = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
        lines += [f"## {path.parts[-3]}", ""]
        for entry, spec in specs.items():
            title = "" if entry == "main" else f"`tasks_from: {entry}`: "
            lines += [f"{title}{spec['short_description']}. {text(spec.get('description'))}", ""]
            if spec.get("options") and (entry == "main" or spec["options"] != specs["main"].get("options")):
                lines += [*option_rows(spec["options"]), ""]
    return "\n".join(lines)


def fragment_options(name: str) -> dict[str, Any]:
    """The options that a documentation fragment adds to a module."""
    path = ROOT / "doc_fragments" / f"{name}.py"
    found: dict[str, Any] = {}
    exec(compile(path.read_text(encoding="utf-8"), path.name, "exec"), found)  # noqa: S102
    options: dict[str, Any] = yaml.safe_load(found["ModuleDocFragment"].DOCUMENTATION)["options"]
    return options


def module_doc(path: Path) -> dict[str, Any]:
    """A module's documentation, its fragments' options included, with what it returns under `returned`."""
    documented: dict[str, Any] = {}
    exec(compile(path.read_text(encoding="utf-8").split("\nfrom ansible")[0], path.name, "exec"), documented)  # noqa: S102
    doc: dict[str, Any] = yaml.safe_load(documented["DOCUMENTATION"])
    for name in doc.get("extends_documentation_fragment", []):
        doc["options"] = {**fragment_options(name), **doc["options"]}
    return doc | {"returned": yaml.safe_load(documented["RETURN"]) or {}}


def modules_page() -> str:
    """Every module's options and returned values."""
    lines = ["# Modules", "", NOTE]
    contents, paths = grouped({path.stem: path for path in ROOT.glob("library/*.py")}, MODULE_GROUPS)
    lines += contents
    for path in paths:
        doc = module_doc(path)
        lines += [f"## {doc['module']}", "", f"{doc['short_description']}. {text(doc['description'])}", ""]
        for name, attribute in doc.get("attributes", {}).items():
            lines += [f"{name}: {attribute['support']}. {text(attribute['description'])}", ""]
        lines += [*option_rows(doc["options"]), "", "| returned | type | meaning |", "| --- | --- | --- |"]
        lines += [
            f"| `{name}` | {value.get('type', '')} | {text(value['description'])} |"
            for name, value in doc["returned"].items()
        ]
        lines.append("")
    return "\n".join(lines)


# What a run says where no cause is named.
NO_CAUSE = (
    ("`INCONCLUSIVE`", "The log tables could not be proven to tell everything", "Switch query logging on.",
     "ansible-playbook verify.yml -i prod --tags query_logging"),
    ("still holds … after masking", "A file in the run's folder holds a secret in a form that is not known yet",
     "Do not pass the folder on. Remove the file that the message names.", ""),
    ("no report at all", "The run could not be opened", "Read the last line of the terminal: it says why.", ""),
)  # fmt: skip
FAMILIES = {
    "server_": "The server refused, or failed",
    "client_": "The loader failed before or beside the server",
    "source_": "The source",
    "config_": "Settings",
    "evidence_": "What a run needs to know",
    "noise_": "What a run needs to know",
    "data_": "The data in the tables",
    "host_": "The host and Docker",
}


def troubleshooting_page() -> str:
    """What a run says, what it means, what to do and to paste: one row for each cause."""
    from ingest_verify.causes import CATALOGUE

    head = ["| message | meaning | what to do | command |", "| --- | --- | --- | --- |"]
    lines = [
        "# Troubleshooting",
        "",
        NOTE,
        "Look for the name in brackets before a finding. A finding's own next step says more than this page: it knows "
        "the table, the column and the user. In the commands `db.table`, `loader` and words in capitals stand for "
        "yours. When each cause is named: [causes](../reference/causes.md). What a run says then: "
        "[faults](../reference/faults.md).",
        "",
        *(f"- [{title}](#{anchor(title)})" for title in dict.fromkeys(FAMILIES.values())),
        "",
        "Look at any window without running anything:",
        "",
        "```sh",
        "ansible-playbook playbooks/diagnose.yml -i prod -e \"since='2026-11-28 08:00:00'\"",
        "```",
        "",
        "## No cause is named",
        "",
        *head,
        *(f"| {said} | {meaning} | {step} | {as_code(command)} |" for said, meaning, step, command in NO_CAUSE),
        "",
    ]
    for title in dict.fromkeys(FAMILIES.values()):
        lines += [f"## {title}", "", *head]
        lines += [
            f"| `{cause.id}` | {text(cause.title)} | {text(cause.step)} | {as_code(cause.command)} |"
            for cause in CATALOGUE.values()
            if next(name for prefix, name in FAMILIES.items() if cause.id.startswith(prefix)) == title
        ]
        lines.append("")
    return "\n".join(lines)


def as_code(command: str) -> str:
    """A command in a table's cell; empty for none."""
    return "`{}`".format(command.replace("|", "\\|")) if command else ""


def anchor(title: str) -> str:
    """The heading's address on its page."""
    return re.sub(r"[^a-z0-9 ]", "", title.lower()).replace(" ", "-")


def causes_page() -> str:
    """The catalogue of causes: what each is, whose move it is, when it may be named."""
    from ingest_verify.causes import CATALOGUE

    lines = [
        "# Causes",
        "",
        NOTE,
        "Everything that a run can name. A finding with another id cannot be built. `row` is the row of "
        "[faults](faults.md) that plays it. What is *likely* is told so, with what would confirm it. Of two causes "
        "that hold for the same facts, the narrower one is named.",
        "",
        "| cause | what it is | fix on the side of | it is named when | row |",
        "| --- | --- | --- | --- | --- |",
    ]
    for cause in CATALOGUE.values():
        when = f"{cause.holds} Not when: {cause.never}" if cause.never else cause.holds
        when += f" Only *likely* when: {cause.likely}" if cause.likely else ""
        when += f" Confirm with `{cause.confirm}`." if cause.confirm else ""
        narrower = ", ".join(f"`{other}`" for other in cause.narrower_than)
        when += f" Narrower than {narrower}." if narrower else ""
        lines.append(f"| `{cause.id}` | {cause.title} | {cause.side or 'nobody'} | {text(when)} | {cause.row or ''} |")
    lines += ["", "## What texts say it", ""]
    for cause in CATALOGUE.values():
        for form in cause.forms:
            lines += [f"- `{cause.id}`, for example: `{form.example}`"]
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> int:
    """Write or check the pages."""
    sys.path.insert(0, str(ROOT / "module_utils"))
    stale = []
    pages = (
        ("reference/roles.md", roles_page()),
        ("reference/modules.md", modules_page()),
        ("reference/causes.md", causes_page()),
        ("how-to/troubleshooting.md", troubleshooting_page()),
    )
    for name, content in pages:
        path = ROOT / "docs" / name
        if path.exists() and path.read_text(encoding="utf-8") == content:
            continue
        stale.append(name)
        if "--check" not in argv:
            path.write_text(content, encoding="utf-8")
    if stale and "--check" in argv:
        print(f"docs: {', '.join(stale)} is out of date: run `python docs/generate.py`.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
