"""A SQL file applied statement by statement: what was sent, what the server said, what changed, what has drifted."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clickhouse_driver import Client, errors

from . import drift, script_rows, snapshot
from .client import ConnectError, ServerError, clean_exception, connect, error_finding, query, quote_identifier
from .findings import Finding, shorten
from .masking import MASK, Masker, is_secret_name, mask
from .script_advice import advice, cause_of, unusable_setting
from .session import Exact, open_session, readable
from .statements import ScriptError, Statement, read_source, split

_SHOWN_SQL = 300
# Thousands of lines are some hundred KiB; a file of rows would be held in memory several times over.
_MAX_SIZE = 64 << 20

_LINE = re.compile(r"\(line (\d+), col \d+\)")
_POSITION = re.compile(r"failed at position (\d+)")
_NAMED = re.compile(
    r"(?:(?:table )?engine|family:|setting|function|identifiers?:?|columns?:?|table:?|database)\s+([\w.$]+)"
    r"|[`'\"]([\w.$]+)[`'\"]|\b([A-Z]\w+)\(",
    re.IGNORECASE,
)
# Behind these words the whole statement may be quoted, or a name proposed that is not there.
_ELSEWHERE = re.compile(r"[.,:]? (?:In scope|In query|While |when |[Mm]aybe you meant|[Aa]vailable|required columns)")
# The parser lists all that it would have taken instead, up to thousands of characters.
_ALTERNATIVES = re.compile(r"( Expected one of: .{200}[^,]*),.*", re.DOTALL)
# Sources that take a password as a plain argument.
_CREDENTIAL_TAKERS = re.compile(
    r"(?i)^(?:mysql|postgresql|mongodb|redis|remote|remotesecure|s3\w*|gcs|oss|cosn|azureblobstorage\w*|odbc|jdbc"
    r"|materializedpostgresql|materializedmysql|iceberg\w*|deltalake\w*|hudi)$"
)
# Commands that act on data or on the server and leave no trace in the snapshot.
_ACTING = {"TRUNCATE", "OPTIMIZE", "KILL", "DELETE", "UPDATE", "BACKUP", "RESTORE", "UNDROP", "EXCHANGE"}
_HARMLESS_SYSTEM = {"FLUSH", "SYNC", "RELOAD", "WAIT"}
# Drift for which there is no ALTER.
_BY_HAND = {
    "TABLE": "Create a new table, INSERT ... SELECT into it, then EXCHANGE TABLES.",
    "VIEW": "Write CREATE OR REPLACE VIEW in the schema file.",
    "DICTIONARY": "Write CREATE OR REPLACE DICTIONARY in the schema file.",
    "FUNCTION": "Write CREATE OR REPLACE FUNCTION in the schema file.",
    "MATERIALIZED VIEW": "ALTER TABLE ... MODIFY QUERY with the SELECT of the schema file, or drop the view and apply"
    " the file again (without a TO table its rows go with it).",
}
_READING = {"SELECT", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK", "USE", "SET", "WITH", "("}


@dataclass
class Outcome:
    """What became of a script. `statements` holds one dict per statement: `line`, `location`, `sql` (shortened, without
    secrets), `status` (`planned`, `applied`, `failed`, `not sent`), `seconds`, `written_rows`."""

    name: str
    changed: bool = False
    findings: list[Finding] = field(default_factory=list)
    statements: list[dict[str, Any]] = field(default_factory=list)
    changed_objects: list[str] = field(default_factory=list)
    diff: dict[str, str] = field(default_factory=lambda: {"before": "", "after": ""})

    @property
    def failed(self) -> bool:
        return any(finding.severity == "error" for finding in self.findings)

    @property
    def summary(self) -> str:
        """One line: how many statements went through, how long they took, and what they changed."""
        states = [statement["status"] for statement in self.statements]
        if "planned" in states:
            return f"{len(states)} statements of {self.name} would be sent"
        seconds = sum(statement.get("seconds", 0.0) for statement in self.statements)
        changes = f"{len(self.changed_objects)} objects changed" if self.changed_objects else "catalog unchanged"
        if written := sum(statement.get("written_rows", 0) for statement in self.statements):
            changes += f", {written} rows written"
        return f"{states.count('applied')} of {len(states)} statements of {self.name} in {seconds:.2f} s, {changes}"


def read_script(path: str) -> bytes:
    """The file's bytes; raises ScriptError in one sentence when there is nothing to read, or more than a schema has."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_SIZE + 1)
    except OSError as error:
        raise ScriptError(
            0, f"it cannot be read ({error.strerror})", "Give the path of a readable SQL file."
        ) from error
    if len(data) > _MAX_SIZE:
        raise ScriptError(
            0, f"it has more than {_MAX_SIZE >> 20} MiB", "Name the schema; load a dump's rows with clickhouse-client."
        )
    return data


def run_script(params: Mapping[str, Any], data: bytes, name: str, *, check: bool = False) -> Outcome:
    """Apply the SQL text `data`, called `name` in messages, and say what happened.

    `params` holds the `login_*` options and `settings` (sent with each statement), `drift` (`warn` or `fail`),
    `drop_rows` (whether tables that hold rows may lose them), `create_login_db`, `stage`. With `check` nothing is sent
    and no connection is made. Problems are findings of severity error in the outcome; nothing is raised for them.
    """
    outcome = Outcome(name)
    stage = params.get("stage") or "schema_apply"
    try:
        statements = split(read_source(data))
        if not statements:
            raise ScriptError(0, "it holds no statement", "Give a file with SQL statements.")
    except ScriptError as error:
        outcome.findings.append(file_finding(error, name, stage))
        return outcome
    outcome.statements = [_entry(statement, name, "planned" if check else "not sent") for statement in statements]
    if check:
        outcome.changed = any(_may_change(statement) for statement in statements)
        outcome.diff["after"] = "".join(f"{entry['location']}: {entry['sql']}\n" for entry in outcome.statements)
        return outcome
    try:
        _Run(params, statements, outcome, stage).apply()
    except ConnectError as error:
        where = f"{params['login_host']}:{params['login_port']}"
        outcome.findings.append(error_finding(error, stage, where))
    except ServerError as error:
        outcome.findings.append(_unreadable_catalog(error, params, stage))
    return outcome


def file_finding(error: ScriptError, name: str, stage: str) -> Finding:
    """A file that cannot be used, as a finding with file and line."""
    where = f"{name}:{error.line}" if error.line else name
    return Finding(
        stage=stage,
        severity="error",
        cause="config_sql_file",
        headline=f"{where}: {error.problem}; nothing was sent.",
        object=name,
        expected="a readable UTF-8 file of SQL statements",
        actual=error.problem,
        next_step=error.next_step,
        fix_side="schema",
        evidence={"location": where},
    )


def _unreadable_catalog(error: ServerError, params: Mapping[str, Any], stage: str) -> Finding:
    return Finding(
        stage=stage,
        severity="error",
        cause="evidence_no_access",
        headline=f"The catalog cannot be read by user {params['login_user']}, so whether the script changes anything"
        f" cannot be known: {_first_sentence(error.message)}",
        object="system.tables",
        next_step="Give this user the right to read system.tables and system.databases, or use another one.",
        fix_side="server",
        evidence={"sql": error.sql, "exception": error.message, "code": error.code},
    )


def _entry(statement: Statement, name: str, status: str) -> dict[str, Any]:
    return {
        "line": statement.line,
        "location": f"{name}:{statement.line}",
        "sql": shorten(printable(statement), _SHOWN_SQL),
        "status": status,
    }


def secrets_in(statement: Statement) -> list[str]:
    """String literals that are passwords or keys: what follows a word such as PASSWORD, and whatever a source takes
    after its first argument."""
    found: list[str] = []
    tokens = statement.tokens
    for i, token in enumerate(tokens[:-1]):
        if token.name and is_secret_name(token.name) and tokens[i + 1].kind == "string":
            found.append(tokens[i + 1].text[1:-1])
        if not (token.name and _CREDENTIAL_TAKERS.match(token.name) and tokens[i + 1].text == "("):
            continue
        depth, literals = tokens[i + 1].depth, []
        for inner in tokens[i + 2 :]:
            if inner.depth < depth:
                break
            if inner.kind == "string":
                literals.append(inner.text[1:-1])
        found += literals[1:]
    return found


def printable(statement: Statement) -> str:
    """The statement's text without secrets, and without bytes that are not UTF-8."""
    text = readable(statement.sql)
    for secret in secrets_in(statement):
        text = text.replace(f"'{secret}'", f"'{MASK}'")
    return mask(text)


def _may_change(statement: Statement) -> bool:
    return statement.tokens[0].text.upper() not in _READING


def _acts(statement: Statement) -> bool:
    """Whether the statement does something that the catalog does not show; what it did cannot be known afterwards."""
    words = statement.words()
    verb = words[0] if words else ""
    if verb in _ACTING:
        return True
    if verb == "SYSTEM":
        return not (words[1:2] and words[1] in _HARMLESS_SYSTEM) and words[-1] != "CACHE"
    if "IDENTIFIED" in words:
        return "EXISTS" not in words or verb == "ALTER"
    if words[:2] == ["ALTER", "TABLE"]:
        return any(_acts_on_rows(command) for command in _alter_commands(statement))
    return words[:3] == ["ALTER", "NAMED", "COLLECTION"]


def _alter_commands(statement: Statement) -> list[list[str]]:
    """The first two words of each command of an ALTER TABLE."""
    tokens = statement.tokens
    _, start = drift.qualified_name(tokens, 4 if tokens[2].upper == "IF" else 2)
    starts = [start] + [i + 1 for i, token in enumerate(tokens) if token.text == "," and token.depth == 0]
    return [[token.upper for token in tokens[i : i + 2]] for i in starts]


def _acts_on_rows(command: list[str]) -> bool:
    return command[0:1] in (["UPDATE"], ["DELETE"], ["MATERIALIZE"]) or command[1:2] in (["PARTITION"], ["PART"])


class _Run:
    """One application of a script: the script's own session, and a second one that reads the snapshot."""

    def __init__(
        self, params: Mapping[str, Any], statements: Sequence[Statement], outcome: Outcome, stage: str
    ) -> None:
        self.params = params
        self.statements = statements
        self.outcome = outcome
        self.stage = stage
        self.settings = {key: str(value) for key, value in (params.get("settings") or {}).items()}
        self.databases = list(_current_databases(statements, params.get("login_db") or "default"))
        self.observer: Client
        self.before: snapshot.Snapshot
        self.held: dict[tuple[str, str], script_rows.Held] = {}

    def apply(self) -> None:
        # The observer's own database always exists; the script's may still have to be made.
        self.observer = connect({**self.params, "login_db": "system"})
        session: Client | None = None
        try:
            self.before = snapshot.take(self.observer)
            if script_rows.acts_on_rows(self.statements):
                self.held = script_rows.tables_with_rows(self.observer)
            if self._settings_taken() and self._rows_safe() and self._login_db_ready():
                session = open_session(self.params)
                self._send_all(session)
            self._conclude()
        finally:
            self.observer.disconnect()
            if session:
                session.disconnect()

    def _settings_taken(self) -> bool:
        """Whether the server knows and takes the given settings; it passes over an unknown name without a word."""
        problem = unusable_setting(self.observer, self.settings)
        if problem is None:
            return True
        name, reason, next_step = problem
        self.outcome.findings.append(
            Finding(
                stage=self.stage,
                severity="error",
                cause="config_setting",
                headline=f"The setting {name}, which is to be sent with each statement, cannot be used: {reason};"
                " nothing was sent.",
                object=name,
                next_step=next_step,
                fix_side="configuration",
            )
        )
        return False

    def _rows_safe(self) -> bool:
        """Whether the script leaves every table its rows, or was allowed to take them."""
        lost = script_rows.rows_lost(self.statements, self.databases, self.held)
        if not lost or self.params.get("drop_rows"):
            return True
        statement, tables = lost[0]
        name = self.outcome.name
        shown = [
            f"{name}:{at.line}: {'.'.join(table)}, {rows} rows"
            for at, at_rows in lost
            for table, rows in at_rows.items()
        ]
        self.outcome.findings.append(
            Finding(
                stage=self.stage,
                severity="error",
                cause="config_rows_at_stake",
                headline=f"{shown[0]} would be lost by {statement.words()[0]}"
                + (f" (and {len(shown) - 1} more)" if len(shown) > 1 else "")
                + "; nothing was sent.",
                object=".".join(next(iter(tables))),
                expected="a schema file that leaves the rows of existing tables alone, or fills them again itself",
                actual="\n".join(shown[:20] + ([f"... and {len(shown) - 20} more"] if len(shown) > 20 else [])),
                next_step="Write CREATE ... IF NOT EXISTS instead of DROP and CREATE, or let these rows go with"
                " -e schema_apply_drop_rows=true.",
                fix_side="schema",
                evidence={"sql": printable(statement), "location": f"{name}:{statement.line}"},
            )
        )
        return False

    def _repeated(self, applied: Sequence[Statement]) -> list[Finding]:
        """A warning for each INSERT of listed rows into a table that held rows before."""
        found = []
        databases = self.databases[: len(applied)]
        for statement, table, held in script_rows.rows_repeated(applied, databases, self.held):
            target, location = ".".join(table), f"{self.outcome.name}:{statement.line}"
            found.append(
                Finding(
                    stage=self.stage,
                    severity="warning",
                    cause="server_rows_repeated",
                    headline=f"{location} listed rows for {target}, which held {held.rows} rows before: each time the"
                    " file is applied it adds them once more.",
                    object=target,
                    next_step="Write INSERT ... SELECT ... WHERE NOT EXISTS / NOT IN, or take ENGINE ="
                    f" ReplacingMergeTree for {target}.",
                    fix_side="schema",
                    evidence={"location": location},
                )
            )
        return found

    def _login_db_ready(self) -> bool:
        """Whether the script's database exists, or could be made when that was asked for."""
        name = self.params.get("login_db") or "default"
        known = query(self.observer, "SELECT name FROM system.databases WHERE name = %(name)s", {"name": name})
        if known:
            return True
        sql = f"CREATE DATABASE IF NOT EXISTS {quote_identifier(name)}"
        if not self.params.get("create_login_db"):
            self.outcome.findings.append(self._missing_database(name, f"{sql};"))
            return False
        try:
            query(self.observer, sql, settings=self.settings)
        except ServerError as error:
            self.outcome.findings.append(self._refusal(error, sql, "login_db", name))
            return False
        return True

    def _missing_database(self, name: str, sql: str) -> Finding:
        where = f"{self.params['login_host']}:{self.params['login_port']}"
        return Finding(
            stage=self.stage,
            severity="error",
            cause="server_missing_database",
            headline=f"Database {name} does not exist at {where}; nothing was sent.",
            object=name,
            expected=f"a database {name}",
            actual="no such database, or none that this user may see",
            next_step=sql,
            fix_side="server",
        )

    def _send_all(self, session: Client) -> None:
        entries = self.outcome.statements
        made = [drift.created_object(statement, "") for statement in self.statements]
        temporary = {("", created.name) for created in made if created and created.temporary}
        for number, (statement, entry) in enumerate(zip(self.statements, entries, strict=True)):
            started = time.monotonic()
            try:
                self._send(session, statement, number)
                entry["status"] = "applied"
            except errors.ServerException as error:
                entry["status"] = "failed"
                failure = ServerError(error.code, clean_exception(error.message), statement.sql)
                self.outcome.findings.append(self._statement_refusal(failure, statement))
                return
            except (errors.Error, OSError, EOFError) as error:
                entry["status"] = "failed"
                self.outcome.findings.append(self._lost(error, statement))
                return
            finally:
                entry["seconds"] = round(time.monotonic() - started, 3)
            target = script_rows.inserted_into(statement, "")
            if statement.tokens[0].upper == "INSERT" and session.last_query and target not in temporary:
                entry["written_rows"] = session.last_query.progress.written_rows

    def _send(self, session: Client, statement: Statement, number: int) -> None:
        try:
            session.execute(Exact(statement.sql), settings=self.settings)
        except (UnicodeDecodeError, errors.UnknownTypeError):
            # A SELECT whose result this driver cannot decode has run all the same; nobody asked for its rows. The
            # driver gave the connection up: the next one gets the SET and USE statements so far.
            session.disconnect()
            for earlier in self._session_statements(number):
                session.execute(Exact(earlier), settings=self.settings)

    def _session_statements(self, number: int, start: int = 0) -> list[str]:
        return [s.sql for s in self.statements[start:number] if s.tokens[0].upper in ("SET", "USE")]

    def _conclude(self) -> None:
        outcome = self.outcome
        try:
            after = snapshot.take(self.observer)
        except ConnectError:
            # The server went away with the session; that finding is there already.
            if not outcome.failed:
                raise
            return
        outcome.changed_objects = snapshot.changed_objects(self.before, after)
        outcome.diff = {side: mask(text) for side, text in snapshot.diff(self.before, after).items()}
        applied = [
            (statement, entry)
            for statement, entry in zip(self.statements, outcome.statements, strict=True)
            if entry["status"] == "applied"
        ]
        outcome.changed = bool(outcome.changed_objects) or any(
            entry.get("written_rows", 0) > 0 or _acts(statement) for statement, entry in applied
        )
        outcome.findings += self._repeated([statement for statement, _ in applied])
        drifted = self._drift(len(applied))
        _explain_by_drift(outcome.findings, drifted)
        outcome.findings += drifted

    def _drift(self, applied: int) -> list[Finding]:
        """A finding for each object that was there before the script with another definition than the script's."""
        touched = drift.altered_by(zip(self.statements, self.databases, strict=True))
        found: list[Finding] = []
        scratch: Client | None = None
        replayed = 0
        try:
            for number, statement in enumerate(self.statements[:applied]):
                created = drift.created_object(statement, self.databases[number])
                if (
                    created is None
                    or not created.if_not_exists
                    or created.temporary
                    or created.kind not in _BY_HAND
                    or created.catalog_name not in self.before
                ):
                    continue
                if scratch is None:
                    scratch = open_session(self.params)
                    scratch.settings.update(self.settings)
                session, replayed = self._session_statements(number, replayed), number
                names = touched.get((created.database, created.name), set())
                found += self._compare(scratch, statement, created, session, names)
        finally:
            if scratch:
                scratch.disconnect()
        return found

    def _compare(
        self, scratch: Client, statement: Statement, created: drift.Created, session: list[str], touched: set[str]
    ) -> list[Finding]:
        try:
            wanted = drift.wanted_definition(scratch, statement, created, session)
            existing = drift.existing_object(scratch, created)
            if wanted is None or existing is None:
                return []
            difference = drift.compare(wanted, existing, created.database, created.name, touched)
        except (ServerError, ScriptError, errors.ServerException) as error:
            return [self._not_compared(statement, created, error)]
        return [self._drifted(statement, created, difference)] if difference.notes else []

    def _drifted(self, statement: Statement, created: drift.Created, difference: drift.Difference) -> Finding:
        target = created.catalog_name.partition(" ")[2]
        severity = "info" if difference.minor else "error" if self.params.get("drift") == "fail" else "warning"
        location = f"{self.outcome.name}:{statement.line}"
        steps = "\n".join(difference.alters) if created.kind == "TABLE" else ""
        return Finding(
            stage=self.stage,
            severity=severity,
            cause="server_schema_drift",
            headline=f"{target} was there before and is not what {location} says: {'; '.join(difference.notes)}.",
            object=target,
            expected=f"{created.kind.lower()} as in {location}",
            actual="\n".join(difference.notes),
            next_step=None if difference.minor else steps or _BY_HAND[created.kind],
            fix_side="server",
            evidence={"location": location, "missing_columns": difference.missing},
        )

    def _not_compared(self, statement: Statement, created: drift.Created, error: Exception) -> Finding:
        reason = clean_exception(error.message if isinstance(error, ServerError) else str(error))
        return Finding(
            stage=self.stage,
            severity="info",
            cause="evidence_no_access",
            headline=f"{created.catalog_name.partition(' ')[2]} was there before; whether it is what"
            f" {self.outcome.name}:{statement.line} says could not be compared: {shorten(reason, _SHOWN_SQL)}",
            object=created.catalog_name.partition(" ")[2],
            evidence={"missing_columns": []},
        )

    def _statement_refusal(self, error: ServerError, statement: Statement) -> Finding:
        line = statement.line + _line_within(statement, error.message)
        name = self.outcome.name
        error.message = Masker(secrets_in(statement)).text(error.message)
        finding = self._refusal(error, printable(statement), f"{name}:{line}", _object_of(statement))
        if line != statement.line:
            finding.evidence["statement_location"] = f"{name}:{statement.line}"
        finding.effects = self._effects()
        return finding

    def _effects(self) -> list[str]:
        states = [(entry["status"], entry["line"]) for entry in self.outcome.statements]
        applied = [line for status, line in states if status == "applied"]
        waiting = [line for status, line in states if status == "not sent"]
        effects = []
        if applied:
            effects.append(f"applied before it: {len(applied)} statement(s), {_lines(applied)}")
        if waiting:
            effects.append(f"not sent after it: {len(waiting)} statement(s), {_lines(waiting)}")
        return effects

    def _refusal(self, error: ServerError, sql: str, location: str, target: str | None) -> Finding:
        facts = query(
            self.observer,
            "SELECT errorCodeToName(toInt32(%(code)s)) AS name, version() AS version, currentUser() AS login",
            {"code": error.code},
        )[0]
        next_step, side = advice(self.observer, error, location, str(facts["version"]), str(facts["login"]))
        message = mask(_ALTERNATIVES.sub(r"\1 ...", error.message))
        return Finding(
            stage=self.stage,
            severity="error",
            cause=cause_of(error),
            headline=f"{location}: ClickHouse {facts['version']} refused the statement ({facts['name']}):"
            f" {_first_sentence(message)}",
            object=target,
            next_step=next_step,
            fix_side=side,
            evidence={
                "sql": sql,
                "exception": message,
                "code": error.code,
                "code_name": facts["name"],
                "location": location,
            },
        )

    def _lost(self, error: Exception, statement: Statement) -> Finding:
        location = f"{self.outcome.name}:{statement.line}"
        return Finding(
            stage=self.stage,
            severity="error",
            cause="server_connection_lost",
            headline=f"{location}: the connection to ClickHouse broke while this statement ran"
            f" ({type(error).__name__}); whether it was carried out is not known.",
            object=_object_of(statement),
            next_step="See the server's log for a restart or a crash, then apply the file again.",
            fix_side="server",
            evidence={"sql": printable(statement), "exception": str(error), "location": location},
            effects=self._effects(),
        )


def _explain_by_drift(refusals: Sequence[Finding], drifted: Sequence[Finding]) -> None:
    """A statement that fails over a column that an older table lacks: mending the table is what helps."""
    for refusal in refusals:
        for older in drifted:
            missing = older.evidence["missing_columns"] if refusal.cause == "server_missing_column" else []
            if any(re.search(rf"\b{re.escape(name)}\b", refusal.evidence["exception"]) for name in missing):
                refusal.headline = f"{refusal.headline.rstrip('.')}. The reason: {older.headline}"
                refusal.next_step, refusal.fix_side = older.next_step, older.fix_side


def _current_databases(statements: Sequence[Statement], login_db: str) -> list[str]:
    """The database that unqualified names mean, for each statement."""
    current, found = login_db, []
    for statement in statements:
        if statement.tokens[0].upper == "USE":
            names, _ = drift.qualified_name(statement.tokens, 1)
            current = names[-1] if names else current
        found.append(current)
    return found


def _first_sentence(message: str) -> str:
    """The message without the parser's list of all that it would have taken instead."""
    lines = message.split(" Expected one of", 1)[0].splitlines()
    return shorten(lines[0], _SHOWN_SQL) if lines else ""


def _lines(lines: Sequence[int]) -> str:
    return f"line {lines[0]}" if lines[0] == lines[-1] else f"lines {lines[0]} to {lines[-1]}"


def _object_of(statement: Statement) -> str | None:
    created = drift.created_object(statement, "")
    if created:
        return f"{created.database}.{created.name}".lstrip(".")
    words = [token.upper for token in statement.tokens[:2]]
    if words == ["ALTER", "TABLE"] or words == ["INSERT", "INTO"]:
        names, _ = drift.qualified_name(statement.tokens, 2)
        return ".".join(names) or None
    return None


def _line_within(statement: Statement, message: str) -> int:
    """Lines from the statement's first to the one that the server complains about; 0 when it does not say."""
    if match := _LINE.search(message):
        return int(match[1]) - 1
    if match := _POSITION.search(message):
        return statement.sql.encode("utf-8", "surrogateescape")[: int(match[1]) - 1].count(b"\n")
    for match in _NAMED.finditer(_ELSEWHERE.split(message)[0]):
        wanted = (match[1] or match[2] or match[3]).rstrip(".").rsplit(".", 1)[-1]
        lines = sorted(
            {token.line for token in statement.tokens if token.name == wanted or token.text == f"'{wanted}'"}
        )
        # Of a name that stands there twice the second one is too much.
        if len(lines) == 1 or (lines and ("already exists" in message or "Duplicate" in message)):
            return lines[-1] - statement.line
    return 0
