"""Where the run's files lie on the control node: whether they can be written, and what mends it where not."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

CAUSE = "host_files_not_written"
# A run's report takes 1 to 5 MB; a long log of the ingest more.
ROOM = 20 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


def why_not_writable(folder: str, variable: str) -> dict[str, str]:
    """headline and next_step where a folder, or the nearest one above it that exists, cannot take the run's files.

    `variable` names what moves the folder. Empty where it can be written. Nothing is written to find out.
    """
    path = Path(folder).absolute()
    there = next(each for each in (path, *path.parents) if each.exists())
    elsewhere = f"set {variable} to another folder"
    if not there.is_dir():
        told, fix = f"{there} is no folder", f"Remove that file, or {elsewhere}."
    elif os.statvfs(there).f_flag & os.ST_RDONLY:
        told, fix = "its file system is mounted read-only", f"Mount it for writing, or {elsewhere}."
    elif not os.access(there, os.W_OK | os.X_OK):
        told = f"{there} belongs to another user or is read-only"
        fix = f"Run: sudo chown -R $USER {there}; chmod u+rwx {there}. Or {elsewhere}."
    elif (free := shutil.disk_usage(there).free) < ROOM:
        told = f"its disk has {free:,} bytes free, and a run needs up to {ROOM:,}"
        fix = f"Make room there: df -h {there}. Or {elsewhere}."
    else:
        return {}
    return {"headline": f"The control node cannot write into {path}: {told}.", "next_step": fix}


def not_written(path: Path, error: OSError, size: int | None = None) -> dict[str, Any]:
    """An error finding without its stage: a file of the run that could not be written; `size` in bytes where known."""
    if error.errno in _FULL:
        free = shutil.disk_usage(path.parent).free
        needs = f" needs {size:,} bytes, and its disk has" if size is not None else ": its disk has"
        headline = f"The control node's disk is full. {path}{needs} {free:,} bytes free."
        fix = f"Make room there: df -h {path.parent}. Then run again: this run's files are not complete."
    else:
        headline = f"The control node cannot write {path}: {error.strerror}."
        fix = "Mend what the error names. Then run again: this run's files are not complete."
    return {"severity": "error", "cause": CAUSE, "headline": headline, "object": str(path), "next_step": fix}
