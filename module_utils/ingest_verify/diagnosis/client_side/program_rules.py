"""How the ingest is started and what it finds there: variables, packages, files, arguments, memory, disk."""

from __future__ import annotations

import re

from ... import causes
from ...facts.log.errors import ClientError
from .code_rules import bare_key
from .context import CONFIGURATION, HOST, INGEST, Context, Judged, first_line, origin, place

_VARIABLE = r"([A-Z][A-Z0-9]*_[A-Z0-9_]+)"
_UNSET = (
    r"(?:not (?:set|found|defined|provided|configured)|missing|required|undefined|empty|unset|unbound|blank|no value)"
)
_NO_VARIABLE = (
    re.compile(
        r"(?i:environment variable|env var(?:iable)?|variable|setting)s?[ :`'\"]+([A-Z][A-Z0-9_]{3,})[`'\"]?"
        rf"(?i:.{{0,20}}{_UNSET})"
    ),
    re.compile(
        r"(?i:missing|required)(?i: required| mandatory)?(?i: environment variable| env var| variable| setting| key)s?"
        r"[ :`'\"\[]+([A-Z][A-Z0-9_]{3,})"
    ),
    # `NAME is empty`, `NAME must be set`, bash's `NAME: unbound variable` and `NAME: parameter null or not set`.
    re.compile(
        rf"\b{_VARIABLE}[`'\"]?:? (?i:(?:(?:is|was|are|has|cannot be|parameter null or)? ?{_UNSET})"
        r"|(?:must|should|has to|needs to) be (?:set|given|provided|defined))"
    ),
    re.compile(r"\b([A-Z][A-Z0-9_]{2,}): (?:unbound variable|parameter (?:null or )?not set)"),
    re.compile(r": line \d+: ([A-Z][A-Z0-9_]{2,}): "),
    re.compile(rf"(?i:could not resolve placeholder|missing (?:env|config)\w*:?) [`'\"]?{_VARIABLE}"),
    re.compile(rf"[`'\"]?{_VARIABLE}[`'\"]?:? (?:Required|Invalid input: expected \w+, received undefined)"),
)


def missing_variable(error: ClientError, _: Context) -> Judged | None:
    """A variable of the environment that is not set."""
    guessed = False
    kind, text = origin(error)
    key = bare_key(error) or (text if kind.endswith("KeyError") else "")
    name = None
    code = error.frame.code or "" if error.frame else ""
    if re.search(r"<frozen os>|environ\b", error.text + code) and kind.endswith("KeyError"):
        # os.environ looks for the name's bytes first.
        name = text.strip().removeprefix("b'").strip("'\"")
    elif match := re.fullmatch(r"['\"]([A-Z][A-Z0-9]*_[A-Z0-9_]+)['\"]", key.strip()):
        # A record's field in capitals stands in the line that read it.
        name = match[1] if match[1] not in code else None
        guessed = not error.traceback
    elif match := next(filter(None, (pattern.search(error.text) for pattern in _NO_VARIABLE)), None):
        name = next(filter(None, match.groups()))
    elif "ValidationError" in error.text and "Field required" in error.text and "ettings" in error.text:
        match = re.search(r"^\s*(\w+)\s*\n\s*Field required", error.text, re.MULTILINE)
        name = match[1].upper() if match else "a required setting"
    if name is None:
        return None
    return Judged(
        "config_env_file",
        f"The ingest misses the variable {name}{place(error)}: its environment does not have it.",
        f"Add the line {name}=<value> to the ingest's env file, and check that the ingest is started with that file.",
        CONFIGURATION,
        object=name,
        expected=f"{name} set",
        actual="not set",
        certainty=causes.LIKELY if guessed else None,
        confirm=f"grep -n '^{name}=' in the env file.",
        otherwise=f"a record has no field {name}: the log has no more than that name.",
    )


_NO_MODULE = re.compile(
    r"No module named '?([\w.]+)|Cannot find (?:module|package) '([^']+)'"
    r"|(?:ClassNotFoundException|NoClassDefFoundError): ([\w./$]+)"
    r"|Could not load file or assembly '([\w.]+)|(\S+\.so[.\d]*): cannot open shared object file"
    r"|version `(GLIBC_[\d.]+)' not found|cannot load such file -- (\S+)|Can't locate (\S+)\.pm in @INC"
    r"|Package ([\w.-]+) is required to"
)
_NO_TIME_ZONES = re.compile(r"ZoneInfoNotFoundError|No time zone found with key (\S+)|unknown time zone (\S+)")


def missing_module(error: ClientError, context: Context) -> Judged | None:
    """A package, class or library that the image lacks."""
    build = context.where(
        "the ingest's requirements and build the image anew",
        "the ingest's requirements and install them where it runs",
    )
    if match := re.search(r"cannot import name '(\w+)' from (?:partially initialized module )?'([\w.]+)'", error.text):
        return Judged(
            "client_missing_module",
            f"The ingest's program finds no {match[1]} in {match[2]}{place(error)}: another version of it is installed "
            "than the program was written for.",
            f"Pin the version of {match[2].partition('.')[0]} that has {match[1]} in {build}; a file of the loader's "
            "own with that name would hide the package.",
            INGEST,
            object=match[2],
        )
    if error.raised_in and (match := re.search(r"module '([\w.]+)' has no attribute '(\w+)'", error.text)):
        return Judged(
            "client_missing_module",
            f"The library {error.raised_in} asks for {match[2]} of {match[1]}, which another version of it does not "
            f"have{place(error)}.",
            f"Install versions of {error.raised_in} and {match[1].partition('.')[0]} that fit each other: pin both in "
            f"{build}.",
            INGEST,
            object=match[1],
        )
    zones = _NO_TIME_ZONES.search(error.text)
    match = _NO_MODULE.search(error.text)
    if not match and not zones:
        return None
    name = next(filter(None, match.groups()), "") if match else "tzdata"
    return Judged(
        "client_missing_module",
        f"The ingest finds no time zone data{place(error)}: {first_line(error.message)}"
        if zones and not match
        else f"The ingest's program lacks the package {name}{place(error)}: it ended while it loaded.",
        f"Add {name} to {build}"
        + context.where(
            " (docker build --no-cache when in doubt); if it is there, the image is older than its source.",
            "; if it is there, another Python than the one it was installed for runs the ingest.",
        ),
        INGEST,
        object=name,
    )


_FILE = re.compile(
    r"(?:FileNotFoundError|PermissionError|IsADirectoryError|NotADirectoryError|Errno (?:2|13|20|21|30)\b"
    r"|read-only file system|EROFS"
    r"|no such file\b|permission denied|ENOENT|EACCES|NoSuchFileException|AccessDeniedException"
    r"|can't open file)",
    re.IGNORECASE,
)
_FILE_NAME = re.compile(
    r"(?:: |file |'|\"|\b(?:open|stat|lstat|mkdir|read|unlink|chdir|fork/exec) )((?:/|\./|[A-Za-z]:\\)[^'\":\s,)]+)"
    r"|\b(?:open|stat|lstat) ([\w./-]+\.\w+):|(?:directory|denied|system): '([^']+)'"
)


def missing_file(error: ClientError, context: Context) -> Judged | None:
    """A file that is not there or may not be used."""
    kind, text = origin(error)
    told = f"{kind}: {text}" if kind else error.message
    if not _FILE.search(told) or "://" in told:
        return None
    found = _FILE_NAME.search(text or error.message)
    name = next(filter(None, found.groups())) if found else None
    shown = name or "<file>"
    look = context.where(f"docker run --rm --entrypoint ls <image> -la {shown}", f"ls -la {shown}, as its user")
    denied = re.search(r"(?i)permission|denied|EACCES|Errno (?:13|30)|read-only|EROFS", told) is not None
    return Judged(
        "client_file_denied" if denied else "client_file_missing",
        f"The ingest {'may not use' if denied else 'does not find'} the file {name or 'that it needs'}{place(error)}.",
        f"Look at it as the ingest sees it: {look}. "
        + (
            "Its owner or mode does not fit the user that the ingest runs as: chown or chmod it"
            + context.where(", or mount the folder writable.", ".")
            if denied
            else context.where("It has to be copied in the Dockerfile or mounted with -v. ", "")
            + "A relative name counts from the ingest's working directory."
        ),
        INGEST,
        object=name,
        expected="a file that the ingest may use" if denied else "a file",
        actual="permission denied" if denied else "no such file",
    )


_ARGUMENTS = re.compile(
    r"the following arguments are required: (?P<a>.+)|unrecognized arguments: (?P<b>.+)|[Nn]o such option:? (?P<c>\S+)"
    r"|[Mm]issing (?:option|argument) (?P<d>\S+)|flag provided but not defined: (?P<e>\S+)|unknown (?:flag|option"
    r"|shorthand flag|command):? (?P<f>.+)|argument (?P<h>\S+): (?:invalid|expected)"
    r"|(?:unexpected|required) argument[s:]* (?P<i>'[^']+'|.+)"
)


def bad_arguments(error: ClientError, context: Context) -> Judged | None:
    """Arguments that the program does not take."""
    match = _ARGUMENTS.search(error.message)
    if not match or error.traceback:
        return None
    name = next(group for group in match.groups() if group).strip()
    command = f" ({context.command})" if context.command else ""
    image = context.where(
        ": the image's ENTRYPOINT and CMD (docker image inspect -f '{{.Config.Entrypoint}} {{.Config.Cmd}}' <image>), "
        "and what the inventory adds",
        "",
    )
    return Judged(
        "client_bad_arguments",
        f"The ingest is started with other arguments than its program takes: {first_line(error.message)}",
        f"Correct the command that starts it{command}{image}; --help lists what it takes.",
        CONFIGURATION,
        object=name,
    )


def out_of_resources(error: ClientError, context: Context) -> Judged | None:
    """No memory, or no space on the ingest's own disk."""
    if re.search(
        r"MemoryError|Cannot allocate memory|OutOfMemory|OOMKilled|heap out of memory|std::bad_alloc"
        r"|Allowed memory size of \d+ bytes exhausted",
        error.text,
    ):
        return Judged(
            "client_killed_memory",
            f"The ingest ran out of memory{place(error)}.",
            f"Give it more{context.where(' (docker run --memory)', '')}, or load in smaller batches: a shorter "
            "window, fewer rows per insert.",
            INGEST,
        )
    if re.search(r"No space left on device|Errno 28\b|ENOSPC", error.text):
        return Judged(
            "host_no_space",
            f"The ingest found no space left on its own disk{place(error)}.",
            f"Make room where it writes: df -h{context.where('; docker system df', '')}.",
            HOST,
        )
    return None


def dry_run_told(error: ClientError, _: Context) -> Judged | None:
    """The log says that the run is a dry one."""
    if re.search(r"(?i)\bdry[ _-]?run\b(?!\W*(?:is )?(?:=|:)?\s*(?:off|false|0|no)\b)", error.message):
        judged = dry_run()
        judged.certainty, judged.confirm = causes.LIKELY, "grep -n DRY_RUN in the env file."
        judged.otherwise = "the line tells of a dry run that is no setting of this ingest."
        return judged
    return None


def dry_run() -> Judged:
    """The ingest was told to write nothing."""
    return Judged(
        "config_dry_run",
        "DRY_RUN is left on: the ingest reads its source and writes nothing.",
        "Set DRY_RUN=false in the ingest's env file and run again.",
        CONFIGURATION,
        object="DRY_RUN",
        expected="false",
        actual="true",
    )
