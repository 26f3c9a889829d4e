"""The ingest's env file: read as Docker reads it, refused while it would make the run prove something else.

Docker's reading (`docker create --env-file`, measured with Docker 28.2): a byte order mark is dropped, blanks before a
name and one carriage return at a line's end too; everything behind `=` is the value: quotes, blanks, `# comments`. A
name with a blank in it, such as `export X` or `X =`, is an error, and so are bytes that are not UTF-8. A name alone
takes its value from Docker's own environment. Of two lines for one name the last counts.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import pwd
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .findings import Finding
from .masking import is_secret_name, mask

STAGE = "qtickets_ingest"
MODE = 0o600
# An env file is a page of text; whatever is larger was named by mistake.
_MAX_SIZE = 1 << 20

PLACEHOLDERS = (
    r"<.*>|\$\{?\w+\}?|%\w+%",
    r".*change[-_ ]?(?:it|me|this)\b.*|.*replace[-_ ]?(?:it|me|this|with)\b.*|.*fill[-_ ]?(?:in|me).*",
    r"\[.*\]|\{.*\}",
    r"(?:put|enter|insert|paste|set|add|use|type)[-_ ].*|your?[-_ ].*|.*[-_ ]here|.*placeholder.*",
    r".*(?:вставьте|укажите|ваш).*",
    r"[x*?_.-]{3,}|…|x+|todo|tbd|fixme|none|null|nil|undefined|n/?a|0+|1234\d*",
    r"(?:an?[-_ ]|the[-_ ]|my[-_ ]|some[-_ ])?(?:example|dummy|sample|fake|test|api|real|org(?:ani[sz]ation)?|company)?"
    r"[-_ ]?(?:api[-_ ]?)?(?:token|key|secret|password|org|name|example|dummy|sample)",
)
# Passwords of throw-away servers are words such as `secret`: only what says "replace me" is refused there, and of
# variables that nobody asked for only what no real value looks like.
_PASSWORD_PLACEHOLDERS = PLACEHOLDERS[:5]
_CERTAIN_PLACEHOLDERS = PLACEHOLDERS[:2]
_TRUE = ("1", "true", "yes", "on", "y", "t", "enabled", "enable")
_FALSE = ("", "0", "false", "no", "off", "n", "f", "disabled", "disable")


@dataclass
class EnvText:
    """Variables of an env file with the line each came from, and what is wrong with the file's form."""

    values: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


@dataclass
class EnvFileReport:
    """`env` holds the variables whose names do not look secret; `values` all of them, never to be printed."""

    changed: bool
    created: bool
    findings: list[Finding]
    env: dict[str, str]
    values: dict[str, str]


def _finding(cause: str, headline: str, next_step: str, severity: str = "error", **more: Any) -> Finding:
    return Finding(STAGE, severity, cause, headline, next_step=next_step, fix_side="configuration", **more)


def parse_env(data: bytes, name: str) -> EnvText:
    """Parse an env file's bytes by Docker's rules; `name` is the file's path for the texts, values never get there."""
    parsed = EnvText()

    def problem(headline: str, next_step: str, severity: str = "error") -> None:
        parsed.findings.append(_finding("config_env_file", headline, next_step, severity, object=name))

    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data:
        problem(
            f"The env file {name} is not UTF-8 text (UTF-16, as Windows editors write it, or binary).",
            f"Save it as UTF-8: iconv -f UTF-16 -t UTF-8 {name} > {name}.utf8 && mv {name}.utf8 {name}",
        )
        return parsed
    if data.startswith(codecs.BOM_UTF8):
        data = data[len(codecs.BOM_UTF8) :]
        problem(
            f"The env file {name} begins with a byte order mark; Docker skips it, a shell takes it as part of a name.",
            f"Remove it: sed -i '1s/^\\xEF\\xBB\\xBF//' {name}",
            "warning",
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        problem(
            f"The env file {name}, line {number}, holds bytes that are not UTF-8: Docker refuses the file.",
            "Save the file as UTF-8.",
        )
        return parsed
    if "\r" in text:
        lines = [number for number, line in enumerate(text.split("\n"), 1) if "\r" in line]
        problem(
            f"The env file {name} has Windows line ends ({len(lines)} line(s), the first is {lines[0]}): "
            "readers differ in whether the carriage return becomes part of the value.",
            f"Give it Unix line ends: sed -i 's/\\r$//' {name}",
        )
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r").lstrip()
        if not line or line.startswith("#"):
            continue
        variable, equals, value = line.partition("=")
        _add_line(parsed, name, number, variable, value if equals else None, problem)
    return parsed


def _add_line(
    parsed: EnvText, name: str, number: int, variable: str, value: str | None, problem: Callable[..., None]
) -> None:
    where = f"The env file {name}, line {number},"
    if value is None or _is_value(variable, value):
        # Not shown: a secret pasted without its name looks like this.
        problem(f"{where} has no `=` behind a name.", "Write NAME=value, or remove the line.")
        return
    if not variable:
        problem(f"{where} has no name before `=`: Docker refuses the file.", "Write NAME=value, or remove the line.")
        return
    if variable != variable.strip() or any(char.isspace() for char in variable):
        shown = f" {variable.strip()!r}" if re.fullmatch(r"(?:export\s+)?[A-Z_][A-Z0-9_]*\s*", variable) else ""
        hint = "Remove the word export." if variable.startswith("export ") else "Remove the blanks around the name."
        problem(f"{where} has a blank in the name{shown}: Docker refuses the file.", hint)
        if not shown:
            return
        variable = variable.removeprefix("export ").strip()
    if value[:1] in ("'", '"'):
        problem(
            f"{where} has quotes around the value of {variable}: Docker keeps them as part of the value.",
            f"Remove the quotes from {variable}.",
        )
    elif re.search(r"\s#(?:\s|$)", value):
        problem(
            f"{where} has a comment behind the value of {variable}: Docker keeps it as part of the value.",
            "Move the comment to a line of its own that begins with #.",
        )
    elif value != value.strip():
        problem(
            f"{where} has blanks around the value of {variable}: Docker keeps them as part of the value.",
            f"Remove the blanks around the value of {variable}.",
        )
    if variable in parsed.values:
        same = parsed.values[variable] == value
        problem(
            f"{where} sets {variable} again (first in line {parsed.lines[variable]}) to "
            f"{'the same value' if same else 'another value: the last one counts'}.",
            f"Keep one line for {variable}.",
            "warning" if same else "error",
        )
    parsed.values[variable] = value
    parsed.lines[variable] = number


def _is_value(variable: str, value: str) -> bool:
    """Whether a line is base64 alone, whose `=` at the end only looks like an empty value."""
    looks_encoded = len(variable) >= 12 and bool(re.search(r"[a-z].*[A-Z]|[A-Z].*[a-z]|[+/]", variable))
    return value in ("", "=") and looks_encoded and "_" not in variable


def is_placeholder(value: str, patterns: Iterable[str] = PLACEHOLDERS) -> bool:
    """Whether a value is a sample's stand-in and not a real one; case does not count."""
    return any(re.fullmatch(pattern, value.strip(), re.IGNORECASE) for pattern in patterns)


def check_env(
    parsed: EnvText,
    name: str,
    *,
    required: Iterable[str] = (),
    placeholders: Iterable[str] = (),
    expect: Mapping[str, object] | None = None,
    forbid_dry_run: bool = True,
    sample: Mapping[str, str] | None = None,
) -> list[Finding]:
    """Findings about values: required ones missing, empty or stand-ins, `DRY_RUN` on, values of another environment.

    `placeholders` are regular expressions (whole value, case ignored) on top of PLACEHOLDERS; a secret that equals the
    `sample`'s is a stand-in whatever it looks like.
    """
    findings = []
    required = list(required)
    for variable in [*required, *(other for other in parsed.values if other not in required)]:
        value = _unquoted(parsed.values.get(variable))
        secret, password = is_secret_name(variable), "PASS" in variable.upper()
        patterns = (
            _PASSWORD_PLACEHOLDERS
            if password
            else (*PLACEHOLDERS, *placeholders)
            if secret or variable in required
            else _CERTAIN_PLACEHOLDERS
        )
        if value is None:
            headline = f"{variable} is missing from the env file {name}."
            action = f"Add the line {variable}=<the real value>"
        elif not value:
            # A password may be empty, and so may what nobody asked for.
            if variable not in required or password:
                continue
            headline, action = f"{variable} is empty in the env file {name}.", f"Put the real value of {variable}"
        elif is_placeholder(value, patterns) or (
            secret and not password and sample and _unquoted(sample.get(variable)) == value
        ):
            shown = "" if secret else f" ({value})"
            headline = f"{variable} still holds the sample's placeholder{shown} in the env file {name}."
            action = f"Put the real value of {variable}"
        else:
            continue
        source = " (Qtickets: account settings, REST API)" if variable == "QTICKETS_TOKEN" else ""
        where = f"line {parsed.lines[variable]} of " if variable in parsed.lines else ""
        findings.append(
            _finding(
                "config_placeholder", headline, f"{action}{source} into {where}{name}, then run again.", object=variable
            )
        )
    findings += _check_dry_run(parsed, name) if forbid_dry_run else []
    for variable, wanted in (expect or {}).items():
        value = _unquoted(parsed.values.get(variable))
        # A password may end with a quote that is its own.
        if value is not None and str(wanted) not in (value, parsed.values[variable]):
            findings.append(_other_value(parsed, name, variable, value, str(wanted)))
    return findings


def _check_dry_run(parsed: EnvText, name: str) -> list[Finding]:
    variable = next((key for key in parsed.values if key.upper() in ("DRY_RUN", "DRYRUN")), None)
    value = (_unquoted(parsed.values.get(variable or "")) or "").lower()
    if variable is None or value in _FALSE:
        return []
    certain = value in _TRUE
    return [
        _finding(
            "config_dry_run",
            f"{variable} is left on in the env file {name}: the ingest would write nothing, and the run prove nothing."
            if certain
            else f"{variable} is neither on nor off in the env file {name}: expected true or false.",
            f"Set {variable}=false in line {parsed.lines[variable]} of {name}, then run again.",
            object=variable,
            expected="false",
            actual=value,
        )
    ]


def _other_value(parsed: EnvText, name: str, variable: str, value: str, wanted: str) -> Finding:
    database = bool(re.search(r"_DB$|DATABASE", variable))
    secret = is_secret_name(variable)
    difference = "not the one that the inventory holds" if secret else f"{value}, this run verifies {wanted}"
    return _finding(
        "config_other_database" if database else "config_other_environment",
        f"{variable} in the env file {name} is {difference}"
        + (": the ingest would write into another environment's database." if database else "."),
        (
            f"Give {variable} in line {parsed.lines[variable]} of {name} and the inventory the same value (a database"
            " user's is ingest_password there)."
            if secret
            else f"Set {variable} in line {parsed.lines[variable]} of {name} to the value of this environment, "
            "or run against the inventory that the file belongs to."
        ),
        object=variable,
        expected=None if secret else wanted,
        actual=None if secret else value,
    )


def _unquoted(value: str | None) -> str | None:
    """The value as its author meant it, so that a quoted placeholder is still called one."""
    return None if value is None else re.sub(r"\s#(?:\s.*)?$", "", value).strip().strip("'\"").strip()


def public_env(values: Mapping[str, str]) -> dict[str, str]:
    """The variables that may be shown, with passwords in URLs masked. A DSN is an address as well as a secret: what is
    left of it are scheme, host, port and path."""
    shown = {key: mask(value) for key, value in values.items() if not is_secret_name(key)}
    addresses = {key: _DSN.fullmatch(value) for key, value in values.items() if key.upper().endswith("DSN")}
    return shown | {key: f"{match[1]}{match[2]}" for key, match in addresses.items() if match}


_DSN = re.compile(r"([a-z][\w+.-]*://)(?:.*@)?([\w.,:\[\]-]+(?:/[\w.-]*)?)(?:[?#].*)?", re.IGNORECASE)


def ensure_env_file(
    path: str,
    *,
    sample: str | None = None,
    required: Iterable[str] = (),
    placeholders: Iterable[str] = (),
    expect: Mapping[str, object] | None = None,
    forbid_dry_run: bool = True,
    owner: str | None = None,
    content: str | None = None,
    write: bool = True,
    check_mode: bool = False,
) -> EnvFileReport:
    """Make the env file from `sample` when it is absent and the sample names all of `required`, give it mode 0600 and
    `owner`, then judge its content. `content` is what it is to hold, where the play brings its values.

    With `write` false nothing is created or corrected: a mode that lets others read is an error then. In check mode
    nothing is touched either, and the report says what a run would change and refuse. Raises nothing for a bad file.
    """
    required = list(required)
    sample_text = _read_sample(sample)
    if sample_text is not None and not set(required) <= parse_env(sample_text, sample or "").values.keys():
        # Another program's sample.
        sample = sample_text = None
    replaced = False
    if content is not None and not check_mode:
        try:
            replaced = _replace(path, content.encode())
        except OSError as error:
            headline = f"The env file {path} cannot be written ({error.strerror})."
            refused = _finding("config_env_file", headline, "Check the folder's owner and mode.", object=path)
            return EnvFileReport(False, False, [refused], {}, {})
    data, findings, created = _obtain(path, sample, sample_text, write=write, check_mode=check_mode)
    changed = created or replaced
    if data is None:
        return EnvFileReport(changed, created, findings, {}, {})
    if not (created and check_mode):
        corrected, more = _enforce_access(path, owner, write=write, check_mode=check_mode)
        changed |= corrected
        findings += more
    parsed = parse_env(data, path)
    if not data.strip():
        action = f"Fill it in as {sample or 'the sample'} shows."
        findings.append(_finding("config_env_file", f"The env file {path} is empty.", action, object=path))
    else:
        findings += parsed.findings
        sample_values = parse_env(sample_text, sample or "").values if sample_text else None
        findings += check_env(
            parsed,
            path,
            required=required,
            placeholders=placeholders,
            expect=expect,
            forbid_dry_run=forbid_dry_run,
            sample=sample_values,
        )
    if created:
        for finding in findings:
            finding.effects.append(f"{path} was made from {sample} just now, with mode 0600.")
            break
    return EnvFileReport(changed, created, findings, public_env(parsed.values), parsed.values)


def _read_sample(sample: str | None) -> bytes | None:
    if sample is None:
        return None
    with contextlib.suppress(OSError):
        return Path(sample).read_bytes()
    return None


def _obtain(
    path: str, sample: str | None, sample_text: bytes | None, *, write: bool, check_mode: bool
) -> tuple[bytes | None, list[Finding], bool]:
    """(content or None, findings, whether the file was or would be created)."""

    def refuse(headline: str, next_step: str) -> tuple[None, list[Finding], bool]:
        return None, [_finding("config_env_file", headline, next_step, object=path)], False

    try:
        status = os.stat(path)
    except FileNotFoundError:
        if not write or sample is None:
            return refuse(
                f"The env file {path} does not exist.",
                "Create it with the ingest's settings, mode 0600; a loader that needs none has an empty"
                " qtickets_ingest_env_file.",
            )
        if sample_text is None:
            return refuse(
                f"The env file {path} does not exist, and neither is its sample {sample} readable.",
                "Create the env file, or name the sample that it is made from.",
            )
        if not check_mode:
            try:
                _create(path, sample_text)
            except OSError as error:
                return refuse(
                    f"The env file {path} cannot be created ({error.strerror}).", "Check the folder's owner and mode."
                )
        return sample_text, [], True
    except OSError as error:
        return refuse(
            f"The env file {path} cannot be reached ({error.strerror}).", "Check the folder's owner and mode."
        )
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        # Docker makes a directory of a bind mount's missing source, which is how these come about.
        return refuse(f"The env file {path} is {kind}, a file is expected.", f"Remove it or name the file: {path}")
    if status.st_size > _MAX_SIZE:
        return refuse(
            f"The env file {path} has {status.st_size} bytes, a page of text is expected.", "Name the right file."
        )
    try:
        return Path(path).read_bytes(), [], False
    except OSError as error:
        return refuse(
            f"The env file {path} cannot be read ({error.strerror}); it belongs to {_owner_name(status.st_uid)} "
            f"and has mode {stat.S_IMODE(status.st_mode):04o}.",
            "Make it readable to the user that runs this play: "
            f"chown {_owner_name(os.geteuid())} {path} && chmod 600 {path}",
        )


def _replace(path: str, content: bytes) -> bool:
    """Make the file hold `content`; whether it held something else. A path that is no file is left to `_obtain`."""
    if os.path.exists(path):
        if not os.path.isfile(path) or Path(path).read_bytes() == content:
            return False
        os.unlink(path)
    _create(path, content)
    return True


def _create(path: str, content: bytes) -> None:
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    # Never readable by others, not even for a moment, and never over a file that appeared meanwhile.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, MODE)
        stream.write(content)


def _enforce_access(path: str, owner: str | None, *, write: bool, check_mode: bool) -> tuple[bool, list[Finding]]:
    status = os.stat(path)
    mode, findings, changed = stat.S_IMODE(status.st_mode), [], False
    if mode != MODE:
        fix = f"chmod 600 {path}"
        open_to_others = mode & 0o077
        if not write:
            if open_to_others:
                findings.append(_mode_finding(path, mode, "error", fix))
        else:
            try:
                if not check_mode:
                    os.chmod(path, MODE)
                changed = True
                if open_to_others:
                    findings.append(_mode_finding(path, mode, "warning", None))
            except OSError:
                findings.append(
                    _mode_finding(path, mode, "error", f"As {_owner_name(status.st_uid)}, its owner, or as root: {fix}")
                )
    if owner is not None and _owner_name(status.st_uid) != owner:
        fix = f"chown {owner} {path}"
        try:
            if not write:
                raise PermissionError
            if not check_mode:
                os.chown(path, pwd.getpwnam(owner).pw_uid, -1)
            changed = True
        except (OSError, KeyError):
            findings.append(
                _finding(
                    "config_env_file",
                    f"The env file {path} belongs to {_owner_name(status.st_uid)}, expected {owner}.",
                    f"As root: {fix}",
                    object=path,
                )
            )
    return changed, findings


def _mode_finding(path: str, mode: int, severity: str, fix: str | None) -> Finding:
    who = "every user of this host" if mode & 0o007 else "its group"
    return _finding(
        "config_env_file",
        f"The env file {path} was open to {who} (mode {mode:04o}); it holds the API token and the database password.",
        fix or "The mode is 0600 now. If others use this host, replace the token and the password.",
        severity,
        object=path,
        expected="0600",
        actual=f"{mode:04o}",
    )


def _owner_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
