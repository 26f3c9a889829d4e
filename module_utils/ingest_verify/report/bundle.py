"""The run's folder as evidence: masked, looked through again, listed with checksums, packed, and old ones removed."""

from __future__ import annotations

import contextlib
import hashlib
import html
import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..masking import Masker
from .compare import runs_of

MANIFEST = "MANIFEST.sha256"
MAX_FILE = 64 << 20
# Of the whole folder: what a ticket, a mail or a CI system's artifacts take.
MAX_FOLDER = 256 << 20
LEFT_OUT = b"[... %d bytes left out ...]"
_TAGS = re.compile(r"<(style|script)\b.*?</\1>|<[^>]*>", re.DOTALL)
# What this project itself keeps beside a run, and what is no text.
_NOT_READ = (MANIFEST,)


class LeakError(Exception):
    """A written file still holds a secret or personal data; the text names file and kind, never the value."""


def files_of(folder: Path) -> Iterator[Path]:
    """The regular files of the folder, in order."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path


def write(path: Path, content: str) -> None:
    """A file that only its owner reads, written in one step."""
    temporary = path.with_name(f".{path.name}.part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(content)
    os.replace(temporary, path)


def write_json(path: Path, data: Any) -> None:
    """The same for JSON-ready data."""
    write(path, json.dumps(data, indent=2, ensure_ascii=False, default=str) + "\n")


def mask_files(folder: Path, masker: Masker) -> list[str]:
    """Cut what is too large, then mask what stages and programs left in the folder; what was cut, in sentences."""
    paths = [path for path in files_of(folder) if path.name not in _NOT_READ]
    limit = _limit_of_a_file([path.stat().st_size for path in paths])
    # Half a JSON document is none.
    notes = [_cut(path, limit) for path in paths if path.stat().st_size > limit and path.suffix != ".json"]
    for path in paths:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        masked = _masked(path, text, masker)
        if masked != text:
            mode = path.stat().st_mode
            path.write_bytes(masked.encode("utf-8", "surrogateescape"))
            path.chmod(mode & 0o700)
    return notes


def _limit_of_a_file(sizes: list[int]) -> int:
    """How large a file may be so that all together keep MAX_FOLDER: small ones stay whole, large ones share."""
    left = MAX_FOLDER
    for done, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - done)
        if size > share:
            return min(MAX_FILE, share)
        left -= size
    return MAX_FILE


def _cut(path: Path, limit: int) -> str:
    size = path.stat().st_size
    half = limit // 2
    with path.open("r+b") as stream:
        head = stream.read(half).rpartition(b"\n")[0]
        stream.seek(size - half)
        tail = stream.read().partition(b"\n")[2]
        left_out = size - len(head) - len(tail)
        stream.seek(0)
        stream.write(head + b"\n" + LEFT_OUT % left_out + b"\n" + tail)
        stream.truncate()
    return f"{path.name} had {size} bytes; {left_out} bytes of its middle were left out."


def _masked(path: Path, text: str, masker: Masker) -> str:
    """JSON is masked value by value: the same text as a whole would mix what does not belong together."""
    if path.suffix == ".json":
        with contextlib.suppress(ValueError):
            data = json.loads(text)
            masked = masker.data(data)
            return text if masked == data else json.dumps(masked, indent=2, ensure_ascii=False) + "\n"
    if path.suffix == ".jsonl":
        return "".join(_masked_line(line, masker) for line in text.splitlines(keepends=True))
    return masker.text(text)


def _masked_line(line: str, masker: Masker) -> str:
    try:
        data = json.loads(line)
    except ValueError:
        return masker.text(line)
    masked = masker.data(data)
    return line if masked == data else json.dumps(masked, ensure_ascii=False) + "\n"


def prove_clean(folder: Path, masker: Masker) -> None:
    """Look through every file again, as a reader would see it; raises LeakError."""
    for path in files_of(folder):
        if path.name in _NOT_READ:
            continue
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        kinds = _kinds(path, text, masker)
        if kinds:
            raise LeakError(
                f"{path} still holds {' and '.join(kinds)}, after masking. Do not pass the folder on. Remove the file,"
                " and report which program wrote the text, so that its form can be recognised."
            )


def _kinds(path: Path, text: str, masker: Masker) -> list[str]:
    if path.suffix in (".json", ".jsonl"):
        try:
            records = [json.loads(text)] if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
        except ValueError:
            return masker.kinds(text)
        kinds: set[str] = set()
        for record in records:
            for value in _strings(record):
                kinds.update(masker.kinds(value))
        return sorted(kinds)
    if path.suffix == ".html":
        text = html.unescape(_TAGS.sub(" ", text))
    return masker.kinds(text)


def _strings(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        if len(data) >= 4:
            yield data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _strings(key)
            yield from _strings(value)
    elif isinstance(data, list):
        for value in data:
            yield from _strings(value)


def write_manifest(folder: Path) -> list[dict[str, Any]]:
    """MANIFEST.sha256 as `sha256sum --check` reads it; gives name, bytes and checksum of each file."""
    entries = []
    for path in files_of(folder):
        if path.name != MANIFEST:
            name = path.relative_to(folder).as_posix()
            digest = hashlib.file_digest(path.open("rb"), "sha256").hexdigest()
            entries.append({"name": name, "bytes": path.stat().st_size, "sha256": digest})
    write(folder / MANIFEST, "".join(f"{entry['sha256']}  {entry['name']}\n" for entry in entries))
    return entries


def pack(folder: Path) -> Path:
    """The folder as `<run_id>.tar.gz` beside it, readable by its owner only."""
    target = folder.with_name(f"{folder.name}.tar.gz")
    temporary = folder.with_name(f".{folder.name}.tar.gz.part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream, tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for path in files_of(folder):
            archive.add(path, f"{folder.name}/{path.relative_to(folder).as_posix()}", filter=_anonymous)
    os.replace(temporary, target)
    return target


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def prune(artifacts_dir: Path, host: str, keep: int, current: str) -> list[str]:
    """Remove the host's oldest runs beyond `keep` (0 keeps all), never the current one; gives their ids.

    A diagnosis alone is a run here: its folder holds evidence as any other does.
    """
    runs = [run_id for run_id, _ in runs_of(artifacts_dir, host, diagnoses=True) if run_id != current]
    removed = runs[: max(0, len(runs) + 1 - keep)] if keep > 0 else []
    for run_id in removed:
        shutil.rmtree(artifacts_dir / run_id, ignore_errors=True)
        (artifacts_dir / f"{run_id}.tar.gz").unlink(missing_ok=True)
    return removed
