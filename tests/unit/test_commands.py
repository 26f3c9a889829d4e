"""What the documents tell a new user to type exists: playbooks, inventories, tags, variables, targets and files."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.plays import ROOT

DOCUMENTS = ["README.md", *(f"docs/{path.relative_to(ROOT / 'docs')}" for path in (ROOT / "docs").rglob("*.md")),
             "bench/README.md", "tests/corpus/README.md"]  # fmt: skip
PROGRAMS = ("ansible-playbook", "make", "python")
# Names that a document invents for its reader.
INVENTED = {"inventories/shop", "DIR"}
_SPAN = re.compile(r"`([^`\n]+)`")
PLAYBOOK = str(Path(sys.executable).with_name("ansible-playbook"))


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each command of a code block or span, with the document that tells it."""
    for document in DOCUMENTS:
        text = (ROOT / document).read_text(encoding="utf-8")
        for line in [*text.splitlines(), *_SPAN.findall(text)]:
            words = line.strip().removeprefix("$ ").removeprefix(".venv/bin/")
            if words.split(" ")[0] in PROGRAMS and "…" not in words and "`" not in words:
                yield document, shlex.split(words, comments=True)


COMMANDS = sorted({(document, shlex.join(words)) for document, words in commands() if len(words) > 1})


def variables() -> set[str]:
    """Every name that a role, a playbook, an inventory or a profile reads."""
    names: set[str] = set()
    for spec in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(spec.read_text(encoding="utf-8"))["argument_specs"].values():
            names |= entry.get("options", {}).keys()
    names |= yaml.safe_load((ROOT / "group_vars/all.yml").read_text(encoding="utf-8")).keys()
    short = yaml.safe_load((ROOT / "roles/run_context/vars/main.yml").read_text(encoding="utf-8"))["_run_context_short"]
    prompts = yaml.safe_load((ROOT / "playbooks/init.yml").read_text(encoding="utf-8"))[0]["vars_prompt"]
    return names | set(short) | {"compare", "report_language"} | {prompt["name"] for prompt in prompts}


def options(words: list[str], *names: str) -> list[str]:
    return [words[place + 1] for place, word in enumerate(words[:-1]) if word in names]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_there_are_commands_to_look_at() -> None:
    told = {words.split(" ")[0] for _, words in COMMANDS}
    assert told == set(PROGRAMS)
    assert len(COMMANDS) > 25


@pytest.mark.parametrize(("document", "told"), COMMANDS, ids=[f"{where}: {told}" for where, told in COMMANDS])
def test_a_documented_command_can_be_typed(document: str, told: str) -> None:
    words = shlex.split(told)
    program, first = words[:2]
    if program == "make":
        assert first in targets()
        given = next((shlex.split(word.partition("=")[2]) for word in words if word.startswith("ARGS=")), [])
    elif program == "python":
        module = options(words, "-m")
        if module and module[0].split(".")[0] in ("bench", "tests", "embedded", "simulator"):
            path = ROOT / module[0].replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()
            source = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__main__.py"
            flags = {node.value for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
                     if isinstance(node, ast.Constant) and isinstance(node.value, str)}  # fmt: skip
            assert {word for word in words if word.startswith("--")} <= flags
        elif not first.startswith("-"):
            assert (ROOT / first).exists()
        given = []
    else:
        assert (ROOT / first).is_file(), first
        given = words
    for inventory in options(given, "-i"):
        assert inventory in INVENTED or (ROOT / inventory).exists(), inventory
    stages = {path.name for path in (ROOT / "roles").iterdir()} | {"query_logging_off"}
    for tags in options(given, "--tags", "-t", "--skip-tags"):
        assert set(tags.split(",")) <= stages
    for given_variable in options(given, "-e"):
        name, equals, _ = given_variable.partition("=")
        assert equals
        assert name in variables(), given_variable


@pytest.mark.parametrize("playbook", ["diagnose", "restore", "report", "delete_moved_aside"])
def test_a_playbook_run_from_its_own_folder_says_where_to_run_it(playbook: str) -> None:
    done = subprocess.run(
        [PLAYBOOK, f"{playbook}.yml", "-i", "../local"],
        cwd=ROOT / "playbooks",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2
    assert f"Run it in the project's folder (cd {ROOT})" in said, said
    assert "was not found" not in said
    assert "Could not resolve" not in said
