"""Settings: environment with production's names, an env file read as Docker reads it, command line on top."""

from __future__ import annotations

import ipaddress
import os
import re
import uuid
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from .errors import ConfigError

_PLACEHOLDER = re.compile(
    r"<.*>|\[.*\]|\{.*\}|change[-_ ]?(it|me).*|your[-_ ].*|replace[-_ ].*|put[-_ ].*[-_ ]here|x{3,}|\*{3,}|\.{3}|…"
    r"|todo|tbd|none|null|placeholder|example|dummy|(my[-_])?(api[-_])?token|secret",
    re.IGNORECASE,
)


def _no_placeholder(value: SecretStr | str) -> SecretStr | str:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not text.strip():
        raise ValueError("is empty")
    if _PLACEHOLDER.fullmatch(text.strip()):
        raise ValueError("still holds a placeholder; put the real value in")
    return value


def _header_safe(value: SecretStr) -> SecretStr:
    # Checked here because the HTTP library would refuse it with a message that shows the token.
    if not re.fullmatch(r"[\x21-\x7e]*", value.get_secret_value().strip()):
        raise ValueError("holds characters that cannot stand in an HTTP header")
    return SecretStr(value.get_secret_value().strip())


def _reachable_url(value: str) -> str:
    try:
        port = httpx.URL(value).port
    except httpx.InvalidURL:
        port = 0
    if port is not None and not 0 < port < 65536:
        raise ValueError("is no URL that can be opened: a port between 1 and 65535 is expected, if any")
    return value


def _time_zone(value: object) -> ZoneInfo:
    try:
        return value if isinstance(value, ZoneInfo) else ZoneInfo(str(value))
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("is not a known IANA time zone such as Europe/Moscow") from error


_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"


class Settings(BaseSettings):
    """Everything the loader can be told; each field is an environment variable of the same name in upper case.

    Times are seconds. An empty variable counts as absent, as with `VAR=` in an env file.
    """

    model_config = SettingsConfigDict(
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
        str_strip_whitespace=True,
    )

    qtickets_base_url: Annotated[
        str,
        Field(
            pattern=r"^https?://[^/\s@?#]+(/[^\s?#]*)?$",
            description="http:// or https://, host, path up to /api/rest/v1, without user or query",
        ),
        AfterValidator(_reachable_url),
    ] = "https://qtickets.ru/api/rest/v1"
    qtickets_token: Annotated[SecretStr, AfterValidator(_header_safe), AfterValidator(_no_placeholder)]
    qtickets_since_hours: float = Field(24, gt=0, le=24 * 366 * 20)
    org_name: Annotated[str, AfterValidator(_no_placeholder)]

    clickhouse_host: str = Field("ch-zakaz", pattern=r"^[^\s/@]+$", description="a host name or address alone")
    clickhouse_port: int = Field(8123, ge=1, le=65535)
    clickhouse_db: str = Field("zakaz", pattern=_NAME, description="a plain identifier")
    clickhouse_user: str = Field(min_length=1)
    clickhouse_password: SecretStr = SecretStr("")
    clickhouse_secure: bool = False
    clickhouse_verify_ssl: bool = True

    report_tz: Annotated[ZoneInfo, BeforeValidator(_time_zone)] = ZoneInfo("Europe/Moscow")
    job_name: str = Field("qtickets_api", pattern=r"^[\w.:-]+$", description="letters, digits and . : - _")
    run_id: uuid.UUID = Field(default_factory=uuid.uuid4)
    dry_run: bool = False
    log_level: str = Field(
        "INFO", pattern=r"(?i)^(debug|info|warn|warning|error|critical)$", description="debug, info, warning or error"
    )

    qtickets_page_size: int = Field(200, ge=1, le=200)
    qtickets_concurrency: int = Field(4, ge=1, le=64)
    qtickets_timeout: float = Field(60, gt=0)
    qtickets_attempts: int = Field(6, ge=1, le=50)
    qtickets_retry_wait: float = Field(0.5, ge=0)
    qtickets_max_outside_share: float = Field(0.01, ge=0, le=1)
    qtickets_max_invalid: int = Field(3, ge=0)
    qtickets_max_vanished: int = Field(200, ge=0)
    clickhouse_batch_rows: int = Field(32_768, ge=1, le=1_000_000)
    clickhouse_timeout: int = Field(300, ge=1)
    clickhouse_attempts: int = Field(4, ge=1, le=20)
    clickhouse_retry_wait: float = Field(0.5, ge=0)


def is_near(host: str) -> bool:
    """Whether ``host`` can only be reached directly: loopback, or a name without a domain such as a container's.

    A proxy of the environment leads out of this network and knows neither.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return "." not in host


def read_env_file(path: Path) -> dict[str, str]:
    """Read ``KEY=VALUE`` lines by Docker's rules: no quoting, no expansion, ``#`` comments only at a line's start.

    Reading it otherwise than `docker run --env-file` does would let the same file mean two things.

    :raises ConfigError: missing, unreadable, not UTF-8, or a line that is neither comment nor assignment
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"--env-file {path}: {type(error).__name__}: {reason}", "config_env_file") from error
    values = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.lstrip().partition("=")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ConfigError(f"--env-file {path}, line {number}: expected NAME=value", "config_env_file")
        if equals:
            values[name] = value
    return values


def load_settings(env_file: Path | None = None, **overrides: Any) -> Settings:
    """Command line over environment over env file.

    :raises ConfigError: names every variable that is missing or wrong, and never shows a value
    """
    names = {name.upper(): name for name in Settings.model_fields}
    given = {name: os.environ[name] for name in names if os.environ.get(name)}
    given = {**(read_env_file(env_file) if env_file else {}), **given}
    wrong = {
        name: "carries quotes as part of its value: docker --env-file does not remove them"
        for name, value in given.items()
        if name in names and len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    }
    wrong |= {
        name: "ends in a carriage return: the env file has Windows line ends"
        for name, value in given.items()
        if name in names and value.endswith("\r")
    }
    if wrong:
        raise ConfigError("; ".join(f"{name} {why}" for name, why in wrong.items()), "config_quoting")
    values = {names[name]: value for name, value in given.items() if name in names and value.strip()}
    try:
        return Settings(**{**values, **overrides})
    except ValidationError as error:
        problems = []
        for item in error.errors(include_input=False, include_url=False):
            name = str(item["loc"][0]).upper() if item["loc"] else "settings"
            if item["type"] == "missing":
                problems.append(f"{name} is missing or empty")
            elif item["type"] == "string_pattern_mismatch":
                problems.append(f"{name}: expected {Settings.model_fields[name.lower()].description}")
            else:
                problems.append(f"{name}: {item['msg'].removeprefix('Value error, ')}")
        raise ConfigError("; ".join(problems)) from None
