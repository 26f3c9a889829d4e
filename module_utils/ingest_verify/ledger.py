"""The run's ledger: artifacts/<run_id>/run.json, through which one stage hands over to a later one."""

from __future__ import annotations

import copy
import json
import os
import platform
import re
import secrets
import tempfile
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .control_node import not_written
from .findings import FAIL, HOST_MISSING, INCONCLUSIVE, INTERRUPTED, NOTHING_RUN, STAGES, Finding, verdict
from .guard import start_of

LEDGER_NAME = "run.json"
# The kind of a ledger that playbooks/diagnose.yml opens for a window or a log of its own.
DIAGNOSIS = "diagnosis"
_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")


class LedgerError(Exception):
    """The ledger cannot be read or written; the text says which file and why."""


class NotWrittenError(LedgerError):
    """A file of the run cannot be written; `finding` tells it with its fix, without a stage."""

    def __init__(self, path: Path, error: OSError, size: int | None = None) -> None:
        self.finding = not_written(path, error, size)
        super().__init__(f"{self.finding['headline']} {self.finding['next_step']}")


def now() -> str:
    """The controller's clock, ISO 8601 in UTC with seconds; used for stage times only, never for windows."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_run_id() -> str:
    """UTC timestamp and a short random suffix: sorts by time, unique between two runs of one second."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def playbook_process() -> dict[str, Any] | None:
    """host, pid and start time (clock ticks since boot) of the `ansible-playbook` above this process.

    None where /proc does not tell: then two runs at once are not noticed.
    """
    pid, found = os.getpid(), None
    while pid > 1:
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            break
        if any(os.path.basename(argument) == b"ansible-playbook" for argument in arguments[:3]):
            found = {"host": platform.node(), "pid": pid, "start": int(fields[19])}
        pid = int(fields[1])
    return found


def _is_alive(process: Mapping[str, Any]) -> bool:
    """Whether the process still runs, and is not another one that got its pid."""
    return start_of(int(process["pid"])) == int(process["start"])


def is_about(data: Mapping[str, Any], host: str, target: str = "") -> bool:
    """Whether a ledger is of the same server and database: by `target` (`host:port/database`), whatever the inventories
    call them; by the inventory's name where a ledger has no target."""
    return bool(data["target"] == target) if target and data.get("target") else data.get("host") == host


def refuse_second_run(artifacts_dir: Path, host: str, own: Mapping[str, Any] | None, target: str = "") -> None:
    """Raise LedgerError while another play is at work on the target; `own` is this play's process."""
    for path in artifacts_dir.glob(f"*Z-*/{LEDGER_NAME}"):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        process = data.get("process") if isinstance(data, dict) else None
        if not process or process == own or not is_about(data, host, target):
            continue
        if _is_alive(process):
            raise LedgerError(
                f"Another run is at work on {target or host}: run {data['run_id']}, process {process['pid']}. Two runs"
                " at once"
                " would judge each other's statements and data. Wait until it has ended."
            )


def find_last(artifacts_dir: Path, host: str, target: str = "") -> str | None:
    """run_id of the newest readable ledger of the target in `artifacts_dir`, or None."""
    folders = sorted(artifacts_dir.glob("*Z-*"), reverse=True) if artifacts_dir.is_dir() else []
    for folder in folders:
        if not _RUN_ID.fullmatch(folder.name):
            continue
        try:
            data = Ledger.load(artifacts_dir, folder.name).data
            # A look at any window is no run that stages could continue.
            if is_about(data, host, target) and data.get("kind") != DIAGNOSIS:
                return folder.name
        except LedgerError:
            continue
    return None


class Ledger:
    """One run's ledger; `data` is the content of run.json."""

    def __init__(self, folder: Path, data: dict[str, Any]) -> None:
        self.folder = folder
        self.data = data

    @classmethod
    def create(cls, artifacts_dir: Path, host: str, facts: Mapping[str, Any]) -> Ledger:
        """Start a run: a new folder, readable by its owner only, with `facts` in the ledger."""
        run_id = new_run_id()
        folder = artifacts_dir / run_id
        try:
            folder.mkdir(parents=True, mode=0o700)
        except OSError as error:
            raise NotWrittenError(folder, error) from error
        ledger = cls(
            folder,
            {"run_id": run_id, "host": host, "started_at": now(), "stages": {}, "findings": [], **facts},
        )
        ledger.save()
        return ledger

    @classmethod
    def load(cls, artifacts_dir: Path, run_id: str) -> Ledger:
        """Read a run's ledger; raises LedgerError when it is absent or damaged."""
        path = artifacts_dir / run_id / LEDGER_NAME
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(data, dict) or data.get("run_id") != run_id:
                raise ValueError("it is not this run's")
        except (OSError, ValueError) as error:
            raise LedgerError(f"The ledger {path} cannot be read: {error}. Start a new run without tags.") from error
        return cls(path.parent, {"stages": {}, "findings": [], **data})

    def record_stage(
        self, stage: str, status: str, data: Mapping[str, Any], findings: Iterable[Mapping[str, Any]]
    ) -> None:
        """Replace what is known of `stage`: a re-run stage speaks for itself, its earlier findings go."""
        if stage not in STAGES:
            raise LedgerError(f"{stage!r} is not a stage; the stages are {', '.join(STAGES)}.")
        if stage == "qtickets_ingest" and "window_before" not in data:
            # It was refused before it began: an earlier ingest's window and outcome are not its own.
            for fact in ("window", "ingest"):
                self.data.pop(fact, None)
        if stage == "qtickets_ingest" and (
            "window_before" not in data
            or data["window_before"] != self.data["stages"].get(stage, {}).get("window_before")
        ):
            # The data checks looked at what an earlier ingest had left: they say nothing of this one.
            self.data["stages"].pop("verify_data", None)
            self.data["findings"] = [finding for finding in self.data["findings"] if finding["stage"] != "verify_data"]
        started_at = ended_at = now()
        if self.data.get("entered", {}).get("stage") == stage:
            started_at = self.data["entered"]["at"]
            self.data["entered"]["ended"] = True
        if self.data.get("interrupted", {}).get("stage") == stage:
            del self.data["interrupted"]
        self.data["stages"][stage] = {"status": status, "started_at": started_at, **data, "ended_at": ended_at}
        kept = [finding for finding in self.data["findings"] if finding["stage"] != stage]
        self.data["findings"] = sorted(
            [*kept, *(Finding.from_dict(finding).to_dict() for finding in findings)],
            key=lambda finding: STAGES.index(finding["stage"]),
        )

    def enter(self, stage: str) -> None:
        """Note that `stage` begins: where nothing is recorded after this, the run was interrupted in it."""
        if stage not in STAGES:
            raise LedgerError(f"{stage!r} is not a stage; the stages are {', '.join(STAGES)}.")
        self.data["entered"] = {"stage": stage, "at": now(), "ended": False}

    def take_up(self, own: Mapping[str, Any] | None) -> None:
        """Go on with the run in another play, `own` is its process; one that died before its verdict is noted."""
        left = self.data.get("process")
        if left and left != own and not _is_alive(left):
            self._interrupt()
        self.data["process"] = own

    def _interrupt(self) -> None:
        entered = self.data.get("entered") or {"stage": None, "at": None, "ended": True}
        self.data["interrupted"] = {"stage": None if entered["ended"] else entered["stage"], "at": entered["at"]}
        if self.data["interrupted"]["stage"]:
            self.data["stages"].setdefault(entered["stage"], {"status": "interrupted", "started_at": entered["at"]})

    def merge(self, facts: Mapping[str, Any]) -> None:
        """Set top-level keys (`window`, `ingest`, `evidence`, `server`, ...) for later stages.

        `changes`, what the run changed on the host, is added to: dicts with `what`, and `from`, `to`, `undo` where they
        are known. Each gets its `stage` and its time `at`.
        """
        told = {"stage": (self.data.get("entered") or {}).get("stage"), "at": now()}
        changes = [{**told, **change} for change in facts.get("changes", [])]
        self.data.update({**facts, "changes": [*self.data.get("changes", []), *changes]})

    def keep_rows(self, extracts: Mapping[str, list[Any]]) -> None:
        """Rows of log tables beside the ledger, `<name>.jsonl` each; a table without rows leaves no file."""
        for name, rows in extracts.items():
            if rows:
                _write(self.folder / f"{name}.jsonl", "".join(json.dumps(row, default=str) + "\n" for row in rows))
                self.data["files"] = sorted({*self.data.get("files", []), f"{name}.jsonl"})

    def keep_figures(self, path: Path, entry: Mapping[str, Any]) -> None:
        """One line for this run in the file of all runs' figures; a run that is checked again replaces its line."""
        own = json.dumps({"run_id": self.data["run_id"]})[:-1]
        try:
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        except FileNotFoundError:
            lines = []
        except (OSError, ValueError) as error:
            raise LedgerError(f"The figures of earlier runs in {path} cannot be read: {error}.") from error
        line = json.dumps({"run_id": self.data["run_id"], **entry}, default=str) + "\n"
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        _write(path, "".join([*(other for other in lines if not other.startswith(own)), line]))

    def judge(self) -> str:
        """The verdict on the stages that ran. Evidence must be proven where an ingest is judged by it, or where proving
        it was the task. A run whose files are not complete proves nothing later on: that fails it too, after the causes
        of its own."""
        log = (self.data.get("ingest") or {}).get("not_written")
        lost = self.data.get("not_written") or (log and {"stage": "qtickets_ingest", **log})
        if lost and lost not in self.data["findings"]:
            self.data["findings"].append(lost)
        findings = [Finding.from_dict(finding) for finding in self.data["findings"]]
        needed = {"query_logging", "qtickets_ingest"} & self.data["stages"].keys()
        proven = bool(self.data.get("evidence", {}).get("proven")) or not needed
        judged = verdict(findings, evidence_proven=proven)
        if judged != FAIL and "interrupted" in self.data:
            judged = INTERRUPTED
        elif judged != FAIL and not self.data["stages"]:
            judged = NOTHING_RUN
        self.data["verdict"] = judged
        self.data.pop("undecided", None)
        if judged == INCONCLUSIVE:
            unread = next((finding.headline for finding in findings if finding.cause == HOST_MISSING), None)
            self.data["undecided"] = unread or self.data.get("evidence", {}).get("reason") or "no canary was run"
        self.data.pop("process", None)
        self.data["ended_at"] = now()
        return judged

    def keep(self, write: Callable[[], None]) -> None:
        """Write a file of the run. One that cannot be written is noted, and the run goes on to its verdict."""
        try:
            write()
        except NotWrittenError as error:
            stage = (self.data.get("entered") or {}).get("stage") or STAGES[0]
            self.data.setdefault("not_written", {"stage": stage, **error.finding})

    def save(self) -> None:
        """Write run.json."""
        _write(self.folder / LEDGER_NAME, json.dumps(self.data, indent=2, default=str) + "\n")


def _write(path: Path, text: str) -> None:
    """Write a file that its owner alone reads, in one step, so that a reader never sees half of it."""
    name = ""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".run-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except OSError as error:
        if name:
            Path(name).unlink(missing_ok=True)
        raise NotWrittenError(path, error, len(text.encode())) from error


def carry_out(
    arguments: Mapping[str, Any], *, check_mode: bool, known: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What the action run_ledger answers: changed, run_id, dir and ledger. Raises LedgerError.

    `arguments` are the action's own, validated. In check mode nothing is written. `known` is the ledger as the play's
    last call answered it: it is taken where the file has fallen behind, since it could not be written.
    """
    artifacts_dir, state, host = Path(arguments["artifacts_dir"]), arguments["state"], arguments["host"]
    run_id, own = arguments["run_id"], playbook_process()
    target = str((arguments.get("facts") or {}).get("target") or "")
    if state in ("last", "existing"):
        run_id = run_id or find_last(artifacts_dir, host, target)
    if state == "existing" and not run_id:
        raise LedgerError(
            f"{NOTHING_RUN}: {artifacts_dir} holds no run of {target or host}. Run ansible-playbook verify.yml first."
        )
    if state in ("new", "last"):
        refuse_second_run(artifacts_dir, host, own, target)
    if state == "new" or (state == "last" and not run_id):
        if check_mode:
            return {"changed": True, **_UNWRITTEN}
        ledger = Ledger.create(artifacts_dir, host, {**arguments["facts"], "process": own})
    elif run_id == _UNWRITTEN["run_id"]:
        return {"changed": False, **_UNWRITTEN}
    else:
        if known and known.get("not_written") and known.get("run_id") == run_id:
            ledger = Ledger(artifacts_dir / run_id, copy.deepcopy(dict(known)))
        else:
            ledger = Ledger.load(artifacts_dir, run_id)
        _go_on(ledger, arguments, own, check_mode=check_mode)
        if not check_mode:
            ledger.keep(ledger.save)
    return {
        "changed": False,
        "run_id": ledger.data["run_id"],
        "dir": str(ledger.folder.resolve()),
        "ledger": ledger.data,
    }


# What a run in check mode is, or one whose folder cannot be written: it has none.
_UNWRITTEN: dict[str, Any] = {"run_id": "check-mode", "dir": "", "ledger": {"stages": {}, "findings": []}}


def _go_on(ledger: Ledger, arguments: Mapping[str, Any], own: Mapping[str, Any] | None, *, check_mode: bool) -> None:
    state = arguments["state"]
    if state in ("last", "existing"):
        ledger.take_up(own)
    elif state == "entered":
        ledger.enter(arguments["stage"])
    elif state == "update":
        ledger.merge(arguments["facts"])
        if arguments.get("extracts") and not check_mode:
            ledger.keep(lambda: ledger.keep_rows(arguments["extracts"]))
        if arguments.get("history") and not check_mode:
            figures = arguments["history"]
            ledger.keep(lambda: ledger.keep_figures(Path(figures["file"]), figures["entry"]))
        if arguments["stage"]:
            ledger.record_stage(arguments["stage"], arguments["status"], arguments["data"], arguments["findings"])
    elif state == "judged":
        ledger.judge()
