"""Folder layout, options and users of an embedded engine, and their rendering into ClickHouse's XML."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import jinja2

from embedded.errors import EmbeddedError

LOG_TABLES = (
    "query_log",
    "query_thread_log",
    "query_views_log",
    "part_log",
    "text_log",
    "session_log",
    "asynchronous_insert_log",
    "error_log",
    "crash_log",
)
ANYWHERE = ("::/0",)
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=jinja2.StrictUndefined,
    autoescape=False,  # noqa: S701 - XML, escaped with |e where a value is free text
)


@dataclass(frozen=True)
class Layout:
    """Where an engine's files are. Everything is below ``conf`` unless told otherwise (the image uses the official paths)."""

    conf: Path
    data: Path
    log: Path
    run: Path

    @classmethod
    def of(
        cls, directory: Path, *, data: Path | None = None, log: Path | None = None, run: Path | None = None
    ) -> Layout:
        root = Path(os.path.abspath(directory))
        return cls(root, data or root / "data", log or root / "log", run or root / "run")

    @property
    def config_xml(self) -> Path:
        return self.conf / "config.xml"

    @property
    def users_xml(self) -> Path:
        return self.conf / "users.xml"

    @property
    def server_log(self) -> Path:
        return self.log / "clickhouse-server.log"

    @property
    def error_log(self) -> Path:
        return self.log / "clickhouse-server.err.log"

    @property
    def engine_output(self) -> Path:
        return self.log / "engine.out"

    @property
    def state(self) -> Path:
        return self.run / "state.json"

    @property
    def options(self) -> Path:
        return self.conf / "options.json"

    @property
    def version_file(self) -> Path:
        """Written by the engine itself at each start; kept with the data, whose format it describes."""
        return self.data / "engine_version"

    def drop_ins(self) -> list[Path]:
        return sorted(p for folder in ("config.d", "users.d") for p in (self.conf / folder).glob("*") if p.is_file())


@dataclass(frozen=True)
class Options:
    """What ``start`` was asked for. Kept in ``options.json`` so that a later ``start`` needs no arguments."""

    host: str = "127.0.0.1"
    http_port: int = 0
    tcp_port: int = 0
    timezone: str = "UTC"
    display_name: str = "embedded"
    log_tables: tuple[str, ...] = LOG_TABLES
    engine_path: str | None = None

    @classmethod
    def load(cls, path: Path) -> Options:
        try:
            stored = json.loads(path.read_text())
        except FileNotFoundError:
            return cls()
        stored["log_tables"] = tuple(stored["log_tables"])
        return cls(**stored)

    def changed(self, **values: Any) -> Options:
        """A copy with every value that is not None replaced."""
        return replace(self, **{name: value for name, value in values.items() if value is not None})

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


@dataclass(frozen=True)
class User:
    """A user of users.xml. ``grants=None`` gives every right; a list gives just those (``GRANT … ON …`` statements)."""

    name: str
    password_sha256_hex: str
    networks: Sequence[str] = ANYWHERE
    grants: Sequence[str] | None = None
    profile_settings: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def with_password(cls, name: str, password: str, **rest: Any) -> User:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name):
            raise EmbeddedError(
                "bad_argument",
                f"User name {name!r} cannot be an XML element; expected a letter or underscore, "
                "then letters, digits, '_', '.' or '-'. Choose another name.",
            )
        if name == "default":
            raise EmbeddedError(
                "bad_argument",
                "The user 'default' is the embedded engine's own and cannot have a password. Choose another name, such as 'admin'.",
            )
        return cls(name, hashlib.sha256(password.encode()).hexdigest(), **rest)


def render_config(layout: Layout, options: Options) -> str:
    return _TEMPLATES.get_template("config.xml.j2").render(layout=layout, options=options)


def render_users(users: Sequence[User]) -> str:
    return _TEMPLATES.get_template("users.xml.j2").render(users=users)
