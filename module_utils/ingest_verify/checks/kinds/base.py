"""What all kinds of checks share: what a check may use, what it needs to be read, and what it makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from ...client import quote_table
from ...rows import Account, Written
from ..fields import Check, Field, a_flag, a_text, a_this_run, some_texts
from ..run import Run, inserts_to_look_at
from ..session import Catalog, ScanError, Session, Table

HOUR = 3600


@dataclass
class Context:
    """What a check may use besides its declaration."""

    session: Session
    catalog: Catalog
    run: Run
    written: Written
    database: str
    now: datetime
    rows_shown: int = 5
    history: list[dict[str, Any]] = field(default_factory=list)
    accounts: dict[str, Account] = field(default_factory=dict)
    records: dict[str, list[dict[str, Any]] | ScanError] = field(default_factory=dict)
    reconciled: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def account(self, check: Check) -> Account | None:
        """The rows' account of the check's table, where there is one."""
        return self.accounts.get(f"{check.database or self.database}.{check.table}")

    def table(self, check: Check) -> Table:
        """The check's table; raises ScanError with the server's own reason when it is absent or not visible."""
        assert check.table is not None  # noqa: S101 - required by the declaration of every kind that comes here
        return self.find(check.database or self.database, check.table, check)

    def find(self, database: str, name: str, check: Check) -> Table:
        table = self.catalog.get(database, name)
        if table is None:
            probe = f"SELECT 1 FROM {quote_table(database, name)} LIMIT 0"
            try:
                self.session.read(probe, check.seconds, check.name)
            except ScanError as error:
                raise ScanError(
                    str(error) + self.catalog.nearest(database, name), probe, error.code, error.cause
                ) from error
            raise ScanError(f"{database}.{name} is not in the catalog", probe, cause="data_missing_table")
        return table


@dataclass(frozen=True)
class Need:
    """One aggregate over a table, read with FINAL or without; `name` is unique within its check."""

    name: str
    sql: str
    final: bool = False


@dataclass
class Problem:
    """Something that a check found: the parts of a finding that the check knows."""

    cause: str
    headline: str
    expected: str
    actual: str
    next_step: str
    rows_sql: str | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    severity: str | None = None
    sql: str | None = None
    columns: tuple[str, ...] = ()


@dataclass
class Judged:
    """A check's outcome; `skipped` is the reason why it could not say anything."""

    expected: str
    actual: str
    rows: int | None = None
    problems: list[Problem] = field(default_factory=list)
    skipped: str | None = None
    reconciliation: dict[str, Any] | None = None


Values = Mapping[str, Any]
Needs = Callable[[Check, Context], list[Need]]
Judge = Callable[[Check, Context, Values], Judged]


def both(*conditions: str | None) -> str | None:
    """The conditions joined by AND, None when there is none."""
    present = [f"({condition})" for condition in conditions if condition]
    return " AND ".join(present) or None


def count(*conditions: str | None) -> str:
    """An aggregate that counts the rows for which all conditions hold."""
    condition = both(*conditions)
    return f"countIf({condition})" if condition else "count()"


def aggregate(function: str, argument: str, condition: str | None) -> str:
    return f"{function}If({argument}, {condition})" if condition else f"{function}({argument})"


def require(table: Table, columns: list[str]) -> None:
    """Raise ScanError for the first plain column name that the table does not have."""
    for name in table.missing(columns):
        raise ScanError(
            f"{table.database}.{table.name} has no column {name}{table.nearest(name)}", "", 47, "data_missing_column"
        )


def rows_query(check: Check, table: Table, condition: str, columns: list[str], *, final: bool, limit: int) -> str:
    """The offending rows: the table's key and the columns in question, unless the check says what to show."""
    show = check.options.get("show")
    shown = ", ".join(map(table.sql, show)) if show else table.shown(columns)
    where = both(check.options.get("where"), condition)
    return f"SELECT {shown} FROM {table.quoted}{' FINAL' if final else ''} WHERE {where} LIMIT {limit}"


def nothing(check: Check, table: Table) -> tuple[str, str]:
    """What to say of a table without rows, or without any that count."""
    if where := check.options["where"]:
        return f"has no row for which {where}", f"0 rows for which {where}"
    return "is empty", "0 rows, the table is empty"


def record_hint(context: Context) -> str:
    return inserts_to_look_at(context.run, context.written, "type, written_rows, query, exception")


def newest_rows(check: Check, table: Table, context: Context) -> str | None:
    """Rows that the run's column sorts last: what is there instead of this run's."""
    column = check.options["this_run"]["column"]
    if column not in table.columns:
        return None
    shown, newest = table.shown([column]), table.sql(column)
    return f"SELECT {shown} FROM {table.quoted} ORDER BY {newest} DESC LIMIT {context.rows_shown}"


def rows_of_run(check: Check, context: Context, values: Values) -> tuple[int | None, str]:
    """Rows of this run and how they were told: by the declared column, else by what the server wrote."""
    this_run = check.options["this_run"]
    if "mine" in values:
        told = context.run.ver if this_run["equals"] == "ver" else context.run.loader_run_id
        return int(values["mine"]), f"by {this_run['column']} " + (
            "within the window" if this_run["within"] else f"= {told}"
        )
    assert check.table is not None  # noqa: S101 - required by the declaration
    rows = context.written.of(check.database or context.database, check.table)
    unknown = [f"{this_run['equals']} of this run is not known"] if this_run["column"] else []
    if rows is None:
        return None, "; ".join([*unknown, *context.written.notes])
    account = context.account(check)
    if account and account.written_rows:
        rows = account.written_rows  # Also what came with a partition or another table's name.
    gone = sum(entry["of_run"][0] for entry in account.lost()) if account else 0
    how = f"by query_log, {gone} taken since" if gone else "by query_log"
    return max(0, rows - gone), ", since ".join([how, *unknown])


def figures_of(check: Check, context: Context, values: Values) -> None:
    """Keep the table's rows, and those of this run, for the trend and the history."""
    table = context.table(check)
    context.figures[f"{table.name}.rows"] = int(values["rows"])
    rows, _ = rows_of_run(check, context, values) if check.options["this_run"] else (None, "")
    if rows is not None:
        context.figures[f"{table.name}.rows_of_run"] = rows


# Options that several kinds have.
WHERE = {"where": Field(a_text)}
SHOW = {"show": Field(some_texts)}
THIS_RUN = {"this_run": Field(a_this_run)}
FINAL = {"final": Field(a_flag, False)}


@dataclass(frozen=True)
class Kind:
    """A kind of check: what its declaration may hold, what it reads, and how it judges.

    `needs` are aggregates that are read together with those of other checks; a kind without them asks for itself.
    `validate` refuses options that do not go together, `others` are the tables (database and name) that it looks at
    beside its own, `read` and `collect` come before and after the judging. Kinds of a later `turn` use what others
    found. The first of `severities` is the default, `accounted` tables have an account in the rows' ledger.
    """

    judge: Callable[[Check, Context, Values], Judged]
    needs: Callable[[Check, Context], list[Need]] | None = None
    options: Mapping[str, Field] = field(default_factory=dict)
    limits: Mapping[str, Field] = field(default_factory=dict)
    has_table: bool = True
    severities: tuple[str, ...] = ("error", "warning")
    validate: Callable[[str, Mapping[str, Any]], None] | None = None
    others: Callable[[Check, str], list[tuple[str, str]]] | None = None
    read: Callable[[Check, Context], None] | None = None
    collect: Callable[[Check, Context, Values, Judged], None] | None = None
    turn: int = 0
    accounted: bool = False


def number(value: Any) -> int | None:
    """A whole number, whatever type another team's column or JSON gives it."""
    read = None if isinstance(value, bool) else decimal(value)
    return int(read) if read is not None and read.is_finite() and read == int(read) else None


def decimal(value: Any) -> Decimal | None:
    """A number as others write it, None for anything else."""
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None
