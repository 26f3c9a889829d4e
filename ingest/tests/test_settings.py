"""Settings: one clear sentence for every way to get them wrong, and never a value in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from qtickets_api.__main__ import main, make_window
from qtickets_api.errors import ConfigError
from qtickets_api.settings import Settings, is_near, load_settings, read_env_file

GOOD = {"QTICKETS_TOKEN": "0123abcd", "ORG_NAME": "zakaz", "CLICKHOUSE_USER": "admin", "CLICKHOUSE_PASSWORD": "pw-1"}
NOW = 1_795_000_000


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def write(path: Path, **values: str) -> Path:
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    return path


def test_defaults_are_production_s(env: pytest.MonkeyPatch) -> None:
    s = load_settings()
    assert (s.clickhouse_host, s.clickhouse_port, s.clickhouse_db) == ("ch-zakaz", 8123, "zakaz")
    assert (s.report_tz.key, s.job_name, s.qtickets_since_hours) == ("Europe/Moscow", "qtickets_api", 24)
    assert s.qtickets_base_url == "https://qtickets.ru/api/rest/v1"
    assert not s.dry_run


@pytest.mark.parametrize("name", ["QTICKETS_TOKEN", "ORG_NAME", "CLICKHOUSE_USER"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_missing_or_empty_is_named(env: pytest.MonkeyPatch, name: str, value: str | None) -> None:
    env.delenv(name) if value is None else env.setenv(name, value)
    with pytest.raises(ConfigError, match=name):
        load_settings()


@pytest.mark.parametrize("name", ["QTICKETS_TOKEN", "ORG_NAME"])
@pytest.mark.parametrize(
    "value",
    ["<token>", "changeme", "change-me", "CHANGE_ME_PLEASE", "your_token", "xxx", "***", "TODO", "replace-this"],
)
def test_placeholders_are_refused_by_name(env: pytest.MonkeyPatch, name: str, value: str) -> None:
    env.setenv(name, value)
    with pytest.raises(ConfigError, match=f"{name}: still holds a placeholder"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("CLICKHOUSE_PORT", "eight", "valid integer"),
        ("CLICKHOUSE_PORT", "99999", "65535"),
        ("CLICKHOUSE_DB", "zakaz; DROP", "plain identifier"),
        ("CLICKHOUSE_HOST", "http://ch-zakaz", "host name"),
        ("QTICKETS_BASE_URL", "qtickets.ru/api", "http://"),
        ("QTICKETS_BASE_URL", "https://user:pw@qtickets.ru", "without user"),
        ("QTICKETS_BASE_URL", "https://qtickets.ru:api/rest", "a port between"),
        ("QTICKETS_BASE_URL", "https://qtickets.ru:99999/api", "a port between"),
        ("QTICKETS_SINCE_HOURS", "0", "greater than 0"),
        ("REPORT_TZ", "Moscow", "IANA"),
        ("RUN_ID", "latest", "UUID"),
        ("DRY_RUN", "maybe", "boolean"),
        ("LOG_LEVEL", "loud", "debug, info"),
        ("QTICKETS_TOKEN", '"0123abcd"', "quotes"),
        ("QTICKETS_TOKEN", "0123abcd\r", "Windows line ends"),
        ("QTICKETS_TOKEN", "жетон-1", "HTTP header"),
    ],
)
def test_wrong_values_are_named_and_not_shown(env: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    env.setenv(name, value)
    with pytest.raises(ConfigError, match=says) as caught:
        load_settings()
    assert name in str(caught.value)
    if name == "QTICKETS_TOKEN":
        assert value.strip('"\r') not in str(caught.value)


def test_env_file_fills_in_what_the_environment_does_not_say(env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = write(tmp_path / "env", ORG_NAME="from-file", CLICKHOUSE_PORT="8124", CLICKHOUSE_DB="")
    s = load_settings(path, qtickets_since_hours="2")
    assert (s.org_name, s.clickhouse_port, s.clickhouse_db, s.qtickets_since_hours) == ("zakaz", 8124, "zakaz", 2)


def test_env_file_is_read_as_docker_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_bytes(b"\xef\xbb\xbf# comment\n\n  A=x # y\nB=$A\nC==\nD\n")
    assert read_env_file(path) == {"A": "x # y", "B": "$A", "C": "="}


@pytest.mark.parametrize("content", [None, b"just words\n", b"A=\xff\n", b"export A=1\n"])
def test_env_file_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "env"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=str(path)) as caught:
        read_env_file(path)
    assert caught.value.cause == "config_env_file"


def test_env_file_with_windows_line_ends_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_bytes("".join(f"{name}={value}\r\n" for name, value in GOOD.items()).encode())
    with pytest.raises(ConfigError, match="QTICKETS_TOKEN ends in a carriage return"):
        load_settings(path)


def settings(**more: str) -> Settings:
    return Settings(**{name.lower(): value for name, value in (GOOD | more).items()})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("localhost", True),
        ("127.0.0.2", True),
        ("::1", True),
        ("ch-zakaz", True),
        ("10.0.0.5", False),
        ("qtickets.ru", False),
    ],
)
def test_hosts_that_no_proxy_leads_to(host: str, near: bool) -> None:
    assert is_near(host) is near


def test_windows() -> None:
    window = make_window(settings(), None, None, NOW)
    assert (window.start, window.end) == (NOW - 24 * 3600, NOW)
    window = make_window(settings(), "2026-11-01", "2026-11-02T00:00:00+03:00", NOW)
    assert window.end - window.start == 24 * 3600
    berlin = make_window(settings(REPORT_TZ="Europe/Berlin"), "2026-10-25", "2026-10-26", NOW)
    assert berlin.end - berlin.start == 25 * 3600  # the day on which the clock is set back


@pytest.mark.parametrize(
    ("start", "end"),
    [("2026-11-02", "2026-11-01"), ("2027-01-01", "2027-02-01"), ("yesterday", None), ("", None), (None, "1960-01-01")],
)
def test_windows_that_cannot_be(start: str | None, end: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        make_window(settings(), start, end, NOW)
    assert caught.value.cause == "config_window"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--frobnicate"], "config_usage"),
        (["--since-hours", "many"], "config_invalid"),
        (["--from", "x"], "config_window"),
        (["--from", "2026-11-01", "--since-hours", "5"], "config_usage"),
    ],
)
def test_every_configuration_error_has_an_outcome_line(
    env: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: list[str], says: str
) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    outcome = json.loads(out.splitlines()[-1])
    assert (outcome["outcome"], outcome["exit_code"], outcome["cause"]) == ("failed", 2, says)
    assert "Traceback" not in err


def test_help_names_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for option in ("--since-hours", "--from", "--to", "--dry-run", "--env-file", "--quiet"):
        assert option in text
