"""Put the recorder into a program's environment: which variables, and for which images."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .guard import SCRATCH

# Where a container finds the recorder, and the one file that it may write.
INSIDE_DIR, INSIDE_FILE = "/ingest-recorder", "/ingest-recorder.jsonl"

_PYTHON = re.compile(r"(?:^|[/\s\"'])(?:python[\d.]*|pypy\d*|pip3?|uv|poetry|gunicorn|uvicorn|celery|airflow)\b|\.py\b")
_NODE = re.compile(r"(?:^|[/\s\"'])(?:node|nodejs|npm|npx|yarn|pnpm|tsx|ts-node)\b|\.[cm]?js\b")


def variables(folder: str, file: str, given: Mapping[str, str], spoken: str = "") -> dict[str, str]:
    """The variables that start the recorder in `folder` and let it write `file`, put before those that the program is
    given: those of the language `spoken`, or all, which a program in another language does not notice."""
    python, node = f"{folder}/python", f"--require={folder}/node/recorder.cjs"
    path, options = given.get("PYTHONPATH", ""), given.get("NODE_OPTIONS", "")
    loaded = {
        "python": {"PYTHONPATH": f"{python}:{path}" if path else python},
        "node": {"NODE_OPTIONS": f"{node} {options}".strip()},
    }
    chosen = [loaded[spoken]] if spoken else loaded.values()
    return {"INGEST_RECORDER_FILE": file, **{name: value for each in chosen for name, value in each.items()}}


@contextlib.contextmanager
def readable_copy(folder: Path | None) -> Iterator[Path | None]:
    """A copy of the recorder that any user of a container may read, for as long as it is needed; None for None."""
    if folder is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix=f"{SCRATCH}recorder.") as scratch:
        # The folder above is its owner's alone; a mount shows what is below.
        copy = Path(shutil.copytree(folder, Path(scratch, "code"), ignore=shutil.ignore_patterns("__pycache__")))
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield copy


def make_file(path: str, mode: int) -> None:
    """Make the recorder's file, empty. Where that fails nothing is recorded, and the report says so."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        os.fchmod(descriptor, mode)
        os.close(descriptor)


def language(image: Mapping[str, Any], command: Sequence[str]) -> str:
    """`python`, `node` or empty: what an image (`docker image inspect`) runs, by its environment and its command."""
    config = image.get("Config") or {}
    names = {str(entry).partition("=")[0] for entry in config.get("Env") or []}
    words = " ".join([*(config.get("Entrypoint") or []), *(command or config.get("Cmd") or [])])
    if _PYTHON.search(words):
        return "python"
    if _NODE.search(words):
        return "node"
    if names & {"PYTHON_VERSION", "PYTHONPATH", "VIRTUAL_ENV", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}:
        return "python"
    return "node" if "NODE_VERSION" in names else ""
