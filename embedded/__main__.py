"""Command line of the launcher: ``python -m embedded {start,stop,restart,status,run} --dir DIR``.

Each command prints one JSON object; a failure is ``{"error": …, "kind": …}`` and exit status 1.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from embedded.config import LOG_TABLES, Layout, Options, User
from embedded.errors import EmbeddedError
from embedded.launcher import Launcher

_KINDS = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EACCES: "not_writable",
    errno.EROFS: "not_writable",
}


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    try:
        layout = Layout.of(args.dir, data=args.data_dir, log=args.log_dir, run=args.run_dir)
        launcher = Launcher(layout)
        if args.command == "status":
            result = launcher.status()
        elif args.command == "stop":
            result = launcher.stop(wait=args.wait)
        else:
            users = _users(args.user, _passwords(args)) if args.user else None
            if args.extra_config:
                _take_extra_config(layout, args.extra_config)
            if args.command == "run":
                launcher.run(_options(args, layout), users)
            command = launcher.start if args.command == "start" else launcher.restart
            result = command(_options(args, layout), users, wait=args.wait)
    except (EmbeddedError, OSError) as error:
        kind = error.kind if isinstance(error, EmbeddedError) else _KINDS.get(error.errno or 0, "os_error")
        print(json.dumps({"error": str(error), "kind": kind}, ensure_ascii=False))
        return 1
    print(json.dumps(result, ensure_ascii=False))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m embedded", description="A real ClickHouse engine on this machine.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{start,stop,restart,status,run}")
    for name, summary in (
        ("start", "start it, unless it runs already"),
        ("stop", "stop it, unless it is stopped already"),
        ("restart", "stop and start it, with what it was started with unless told otherwise"),
        ("status", "say whether it runs"),
        ("run", "run it in the foreground (for containers)"),
    ):
        command = commands.add_parser(name, help=summary, description=summary.capitalize() + ".")
        command.add_argument("--dir", type=Path, required=True, help="folder for configuration, data, logs and state")
        command.add_argument("--data-dir", type=Path, help="default: DIR/data")
        command.add_argument("--log-dir", type=Path, help="default: DIR/log")
        command.add_argument("--run-dir", type=Path, help="default: DIR/run")
        command.add_argument("--wait", type=float, default=30.0, metavar="SECONDS", help="time limit (default: 30)")
        if name in ("status", "stop"):
            continue
        command.add_argument("--host", help="address to listen on (first start: 127.0.0.1)")
        command.add_argument("--http-port", type=int, help="0 picks a free one, kept by later starts (first start: 0)")
        command.add_argument("--tcp-port", type=int, help="native protocol, as --http-port")
        command.add_argument(
            "--user",
            action="append",
            metavar="NAME",
            help="a user with every right, password in EMBEDDED_PASSWORD_<NAME>; repeatable; replaces users.xml",
        )
        command.add_argument(
            "--passwords-stdin",
            action="store_true",
            help="read the passwords from standard input, a JSON object by user name, instead of the environment",
        )
        command.add_argument("--timezone", help="the server's time zone (first start: UTC)")
        for table in ("query_log", "text_log"):
            command.add_argument(
                f"--{table.replace('_', '-')}",
                action=argparse.BooleanOptionalAction,
                help=f"configure system.{table} (first start: yes)",
            )
        command.add_argument("--extra-config", type=Path, metavar="FILE", help="copied into DIR/config.d")
        command.add_argument("--engine-path", help="folder with another chdb-core (pip install --target)")
    return parser


def _options(args: argparse.Namespace, layout: Layout) -> Options:
    stored = Options.load(layout.options)
    wanted = {"query_log": args.query_log, "text_log": args.text_log}
    kept = {name: name in stored.log_tables if asked is None else asked for name, asked in wanted.items()}
    return stored.changed(
        host=args.host,
        http_port=args.http_port,
        tcp_port=args.tcp_port,
        timezone=args.timezone,
        engine_path=args.engine_path and os.path.abspath(args.engine_path),
        log_tables=tuple(name for name in LOG_TABLES if kept.get(name, True)),
    )


def _passwords(args: argparse.Namespace) -> Mapping[str, str] | None:
    """Passwords by user name from standard input, None when they stand in the environment."""
    if not args.passwords_stdin:
        return None
    try:
        given = json.load(sys.stdin)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise EmbeddedError("bad_argument", "--passwords-stdin expects a JSON object of user names and passwords.")
    return given


def _users(names: Sequence[str], given: Mapping[str, str] | None) -> list[User]:
    users = []
    for name in names:
        variable = f"EMBEDDED_PASSWORD_{name.upper()}"
        password = os.environ.get(variable) if given is None else given.get(name)
        if not password:
            where = f"the environment variable {variable}, which is not set" if given is None else "standard input"
            raise EmbeddedError("password_missing", f"The password of user {name!r} was expected in {where}.")
        users.append(User.with_password(name, password))
    return users


def _take_extra_config(layout: Layout, source: Path) -> None:
    try:
        (layout.conf / "config.d").mkdir(mode=0o750, parents=True, exist_ok=True)
        shutil.copyfile(source, layout.conf / "config.d" / source.name)
    except OSError as error:
        raise EmbeddedError(
            "bad_argument", f"--extra-config {source} could not be copied: {error.strerror}."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
