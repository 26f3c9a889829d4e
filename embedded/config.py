"""Folder layout, options and users of an embedded engine, and the ClickHouse configuration made from them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

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
    "crash_log",
)
ANYWHERE = ("::/0",)
_FOLDER = Path(__file__).parent / "templates"
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_FOLDER),
    undefined=jinja2.StrictUndefined,
    autoescape=False,  # noqa: S701 - XML; free text is escaped with |e in the templates
)
_CREDENTIALS = re.compile(r"password.*|no_password|ldap|kerberos|ssl_certificates|ssh_keys|http_authentication")


@dataclass(frozen=True)
class Layout:
    """Where an engine's files are: below ``conf`` unless told otherwise (the image has the official paths)."""

    conf: Path
    data: Path
    log: Path
    run: Path

    @classmethod
    def of(
        cls, directory: Path, *, data: Path | None = None, log: Path | None = None, run: Path | None = None
    ) -> Layout:
        root = Path(os.path.abspath(directory))
        return cls(
            root,
            *(
                Path(os.path.abspath(given or root / name))
                for name, given in (("data", data), ("log", log), ("run", run))
            ),
        )

    @property
    def config_xml(self) -> Path:
        return self.conf / "config.xml"

    @property
    def users_xml(self) -> Path:
        return self.conf / "users.xml"

    @property
    def options(self) -> Path:
        return self.conf / "options.json"

    @property
    def server_log(self) -> Path:
        return self.log / "clickhouse-server.log"

    @property
    def error_log(self) -> Path:
        return self.log / "clickhouse-server.err.log"

    @property
    def engine_output(self) -> Path:
        """Standard output and error of the engine's process: why it did not start, or crashed."""
        return self.log / "engine.out"

    @property
    def state(self) -> Path:
        return self.run / "state.json"

    @property
    def effective(self) -> Path:
        """The configuration as of the last start: a copy, since the engine never reloads it."""
        return self.run / "etc"

    @property
    def version_file(self) -> Path:
        """Written by the engine itself at each start; kept with the data, whose format it describes."""
        return self.data / "engine_version"

    def sources(self) -> dict[Path, Path]:
        """The files that configure the engine, each with its copy in ``effective``."""
        files = [self.config_xml, self.users_xml]
        for folder in ("config.d", "users.d"):
            files += sorted(p for p in (self.conf / folder).glob("*") if p.is_file() and not p.name.startswith("."))
        return {source: self.effective / source.relative_to(self.conf) for source in files if source.exists()}


@dataclass(frozen=True)
class Options:
    """What ``start`` was asked for. Kept in ``options.json`` so that a later ``start`` needs no arguments.

    ``host`` may be empty: then ClickHouse's own default, both loopback addresses, unless a drop-in says otherwise.
    """

    host: str = "127.0.0.1"
    http_port: int = 0
    tcp_port: int = 0
    timezone: str = "UTC"
    display_name: str = "embedded"
    log_tables: tuple[str, ...] = LOG_TABLES
    flush_milliseconds: int = 1000
    engine_path: str | None = None

    @classmethod
    def load(cls, path: Path) -> Options:
        try:
            stored = json.loads(path.read_text())
            return cls(**stored | {"log_tables": tuple(stored["log_tables"])})
        except FileNotFoundError:
            return cls()
        except (ValueError, TypeError, KeyError) as error:
            raise EmbeddedError(
                "bad_config", f"{path} was expected to be the launcher's own JSON, but: {error}. Remove that file."
            ) from error

    def changed(self, **values: Any) -> Options:
        """A copy with every value that is not None replaced."""
        return replace(self, **{name: value for name, value in values.items() if value is not None})

    def with_drop_ins(self, layout: Layout) -> Options:
        """What will be in force: addresses, ports and time zone of the last drop-in in config.d that has them.

        Raises:
            EmbeddedError: ``bad_config``, for a drop-in that is not XML.
        """
        found = {
            element.tag: os.environ.get(element.get("from_env", ""), element.text or "").strip()
            for _, root in drop_ins(layout, "config.d")
            for element in root
        }
        numbers = {name: int(found[name]) for name in ("http_port", "tcp_port") if found.get(name, "").isdigit()}
        return self.changed(host=found.get("listen_host"), timezone=found.get("timezone"), **numbers)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


@dataclass(frozen=True)
class User:
    """A user of users.xml.

    ``grants=None`` gives every right, that over other users with ``access_management``; a list gives just those
    (``GRANT … ON …`` statements).
    """

    name: str
    password_sha256_hex: str
    networks: Sequence[str] = ANYWHERE
    grants: Sequence[str] | None = None
    access_management: bool = True
    profile_settings: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def with_password(cls, name: str, password: str, **rest: Any) -> User:
        """
        Raises:
            EmbeddedError: ``bad_argument``, for a name that users.xml cannot hold, and for ``default``.
        """
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name):
            raise EmbeddedError(
                "bad_argument",
                f"User name {name!r} cannot be an XML element; expected a letter or underscore, "
                "then letters, digits, '_', '.' or '-'. Choose another name.",
            )
        if name == "default":
            raise EmbeddedError(
                "bad_argument",
                "The user 'default' is the embedded engine's own, and nobody else can be it. "
                "Choose another name, such as 'admin'.",
            )
        return cls(name, hashlib.sha256(password.encode()).hexdigest(), **rest)


def render_config(layout: Layout, options: Options) -> str:
    return _TEMPLATES.get_template("config.xml.j2").render(layout=layout, options=options)


def render_users(users: Sequence[User]) -> str:
    return _TEMPLATES.get_template("users.xml.j2").render(users=users)


def drop_ins(layout: Layout, folder: str) -> Iterator[tuple[Path, ElementTree.Element]]:
    """The XML drop-ins of ``config.d`` or ``users.d`` in ClickHouse's order, parsed."""
    for path in (p for p in layout.sources() if p.parent.name == folder and p.suffix in (".xml", ".conf")):
        try:
            yield path, ElementTree.parse(path).getroot()  # noqa: S314 - the user's own configuration
        except ElementTree.ParseError as error:
            raise EmbeddedError(
                "bad_config", f"{path} was expected to be well-formed XML, but: {error}. Correct or remove that file."
            ) from error


def install_effective(layout: Layout) -> None:
    """Copy the configuration to where the engine reads it, adapted to what the embedded engine needs.

    A user whose credentials come from users.d loses those of users.xml: ClickHouse refuses two kinds for one user.
    """
    shutil.rmtree(layout.effective, ignore_errors=True)
    for folder in ("config.d", "users.d"):
        (layout.effective / folder).mkdir(parents=True, mode=0o700)
    for source, copy in layout.sources().items():
        write_private(copy, source.read_bytes())
    write_private(layout.effective / "users.d" / "~launcher_user.xml", (_FOLDER / "launcher_user.xml").read_bytes())
    elsewhere = {
        user.tag
        for _, root in drop_ins(layout, "users.d")
        for user in root.iterfind("users/*")
        if any(_CREDENTIALS.fullmatch(child.tag) for child in user)
    }
    tree = ElementTree.parse(layout.users_xml)  # noqa: S314 - our own file
    for user in tree.getroot().iterfind("users/*"):
        if user.tag in elsewhere:
            for child in [child for child in user if _CREDENTIALS.fullmatch(child.tag)]:
                user.remove(child)
    write_private(layout.effective / "users.xml", ElementTree.tostring(tree.getroot()))


def changed_since_start(layout: Layout) -> bool:
    """Whether a configuration file was added, removed or edited since the engine read it."""
    sources = layout.sources()
    copies = {p for p in layout.effective.rglob("*") if p.is_file() and not p.name.startswith("~")}
    if copies != set(sources.values()):
        return True
    # users.xml is adapted on its way, so it cannot be compared by content.
    edited = (a for a, b in sources.items() if a != layout.users_xml and a.read_bytes() != b.read_bytes())
    newer = layout.users_xml.stat().st_mtime_ns > (layout.effective / "users.xml").stat().st_mtime_ns
    return newer or any(True for _ in edited)


def write_private(path: Path, content: bytes | str) -> None:
    """Atomic, and readable for the owner only: configuration holds password hashes."""
    temporary = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    temporary.replace(path)
