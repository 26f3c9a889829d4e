"""The ingest's env file: Docker's reading of it, what is refused, who may read it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from ansible.module_utils.ingest_verify.env_file import (
    EnvFileReport,
    ensure_env_file,
    is_placeholder,
    parse_env,
    public_env,
)

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "deploy" / "env.qtickets_api.sample"
TOKEN = "q1w2e3r4t5y6u7i8"
GOOD = f"""# the ingest
QTICKETS_BASE_URL=https://qtickets.ru/api/rest/v1
QTICKETS_TOKEN={TOKEN}
ORG_NAME=bolshoi

CLICKHOUSE_DB=zakaz
CLICKHOUSE_PASSWORD=pa ss=w0rd#1
DRY_RUN=false
"""


def check(folder: Path, text: str | bytes, **options: object) -> EnvFileReport:
    path = folder / ".env"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(0o600)
    arguments = {"required": ["QTICKETS_TOKEN", "ORG_NAME"], "expect": {"CLICKHOUSE_DB": "zakaz"}, **options}
    return ensure_env_file(str(path), **arguments)


def errors(report: EnvFileReport) -> list[tuple[str, str | None]]:
    return [(found.cause, found.object) for found in report.findings if found.severity == "error"]


def test_a_good_file_is_accepted_unchanged_and_gives_its_public_variables(tmp_path: Path) -> None:
    report = check(tmp_path, GOOD)
    assert (report.findings, report.changed) == ([], False)
    assert report.env == {
        "QTICKETS_BASE_URL": "https://qtickets.ru/api/rest/v1", "ORG_NAME": "bolshoi", "CLICKHOUSE_DB": "zakaz",
        "DRY_RUN": "false",
    }  # fmt: skip
    assert report.values["CLICKHOUSE_PASSWORD"] == "pa ss=w0rd#1"


@pytest.mark.parametrize(
    ("data", "values"),
    [
        # Measured with `docker create --env-file` and `docker inspect`, Docker 28.2.
        (b'\xef\xbb\xbfA=1\r\nB="q"\r\n  C= x # y\nD\nF=\nA=2\r\r\n #c\nX.y=1\n1a=2',
         {"A": "2\r", "B": '"q"', "C": " x # y", "F": "", "X.y": "1", "1a": "2"}),
        (b"A=1=2\n", {"A": "1=2"}),
        (b"A=no newline at the end", {"A": "no newline at the end"}),
        (b"# A=1\n\n   \n", {}),
    ],
)  # fmt: skip
def test_values_are_those_that_docker_gives_the_container(data: bytes, values: dict[str, str]) -> None:
    assert parse_env(data, ".env").values == values


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\n", "\r\n", "Windows line ends"),
        (TOKEN, f'"{TOKEN}"', "quotes around the value of QTICKETS_TOKEN"),
        (TOKEN, f"'{TOKEN}'", "quotes around the value of QTICKETS_TOKEN"),
        (TOKEN, f"{TOKEN} ", "blanks around the value of QTICKETS_TOKEN"),
        (TOKEN, f"{TOKEN} # main account", "a comment behind the value of QTICKETS_TOKEN"),
        ("ORG_NAME=", "export ORG_NAME=", "a blank in the name 'export ORG_NAME'"),
        ("ORG_NAME=", "ORG_NAME =", "a blank in the name"),
        ("DRY_RUN=false", "DRY_RUN", "no `=`"),
        ("DRY_RUN=false", "=false", "no name"),
        (
            "DRY_RUN=false",
            "DRY_RUN=false\nORG_NAME=mariinski",
            "sets ORG_NAME again (first in line 4) to another value",
        ),
        ("bolshoi", "bolsho\0i", "not UTF-8 text"),
    ],
)
def test_a_form_that_readers_take_differently_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    report = check(tmp_path, GOOD.replace(old, new))
    assert "config_env_file" in [cause for cause, _ in errors(report)]
    assert words in " ".join(found.headline for found in report.findings)
    assert TOKEN not in str(report.findings)


def test_bytes_that_docker_refuses_are_refused(tmp_path: Path) -> None:
    assert "line 4" in check(tmp_path, GOOD.replace("bolshoi", "большой").encode("cp1251")).findings[0].headline
    assert "UTF-16" in check(tmp_path, GOOD.encode("utf-16")).findings[0].headline
    assert "is empty" in check(tmp_path, "\n").findings[0].headline


def test_a_byte_order_mark_and_a_repeated_line_are_warnings(tmp_path: Path) -> None:
    report = check(tmp_path, ("\ufeff" + GOOD + "ORG_NAME=bolshoi\n").encode())
    assert errors(report) == []
    assert len(report.findings) == 2


@pytest.mark.parametrize(
    "value",
    ["", "   ", "<token>", "changeme", "CHANGE_ME", "your_token_here", "your-token", "xxxxxxxx", "***", "TODO",
     "REPLACE_ME", "put-your-token-here", "placeholder", "example", "test-token", "${QTICKETS_TOKEN}", "...",
     "none", "вставьте токен", '"<token>"', "insert_token"],
)  # fmt: skip
def test_a_stand_in_for_the_token_is_refused_and_not_shown(tmp_path: Path, value: str) -> None:
    report = check(tmp_path, GOOD.replace(TOKEN, value))
    assert ("config_placeholder", "QTICKETS_TOKEN") in errors(report)
    found = next(found for found in report.findings if found.cause == "config_placeholder")
    assert "line 3 of" in (found.next_step or "")
    if len(value.strip()) > 8 and value != "placeholder":
        assert value not in str(report.findings)


@pytest.mark.parametrize(
    "value", ["q1w2e3r4", "0f8fad5bd9cb469f", "eyJhbGciOi.JIUzI1NiJ9", "a-b_c.d~e", "tokenizer-7f3a9c"]
)
def test_a_real_token_is_no_stand_in(tmp_path: Path, value: str) -> None:
    assert errors(check(tmp_path, GOOD.replace(TOKEN, value))) == []


def test_a_missing_organisation_is_refused(tmp_path: Path) -> None:
    report = check(tmp_path, GOOD.replace("ORG_NAME=bolshoi\n", ""))
    assert errors(report) == [("config_placeholder", "ORG_NAME")]


def test_a_token_that_is_still_the_samples_is_refused(tmp_path: Path) -> None:
    sample = tmp_path / "sample"
    sample.write_text(GOOD)
    assert errors(check(tmp_path, GOOD, sample=str(sample))) == [("config_placeholder", "QTICKETS_TOKEN")]


def test_own_placeholders_are_added(tmp_path: Path) -> None:
    assert is_placeholder("bolshoi", ["bol.*"])
    assert errors(check(tmp_path, GOOD, placeholders=["BOLSHOI"])) == [("config_placeholder", "ORG_NAME")]


@pytest.mark.parametrize("password", ["admin_pass", "secret", "password", ""])
def test_passwords_of_throw_away_servers_are_accepted(tmp_path: Path, password: str) -> None:
    assert errors(check(tmp_path, GOOD.replace("pa ss=w0rd#1", password))) == []


@pytest.mark.parametrize("value", ["true", "1", "yes", "on", "TRUE", "maybe", '"true"', "true # for now"])
def test_a_dry_run_is_refused(tmp_path: Path, value: str) -> None:
    report = check(tmp_path, GOOD.replace("DRY_RUN=false", f"DRY_RUN={value}"))
    assert ("config_dry_run", "DRY_RUN") in errors(report)
    assert "config_dry_run" not in str(check(tmp_path, GOOD.replace("false", value), forbid_dry_run=False).findings)


@pytest.mark.parametrize("value", ["false", "0", "no", "off", ""])
def test_a_real_run_is_accepted(tmp_path: Path, value: str) -> None:
    assert errors(check(tmp_path, GOOD.replace("DRY_RUN=false", f"DRY_RUN={value}"))) == []


def test_another_environments_database_is_refused(tmp_path: Path) -> None:
    report = check(tmp_path, GOOD.replace("=zakaz", "=zakaz_test"))
    assert errors(report) == [("config_other_database", "CLICKHOUSE_DB")]
    assert (report.findings[0].expected, report.findings[0].actual) == ("zakaz", "zakaz_test")


def test_another_value_of_a_secret_is_not_shown(tmp_path: Path) -> None:
    report = check(tmp_path, GOOD, expect={"QTICKETS_TOKEN": "of-production"})
    assert errors(report) == [("config_other_environment", "QTICKETS_TOKEN")]
    assert TOKEN not in str(report.findings)
    assert "of-production" not in str(report.findings)


# The file itself


def test_a_missing_file_is_made_from_the_sample_and_then_refused(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / ".env"
    report = ensure_env_file(str(path), sample=str(SAMPLE), required=["QTICKETS_TOKEN", "ORG_NAME"])
    assert (report.changed, report.created) == (True, True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == SAMPLE.read_bytes()
    refused = {name for _, name in errors(report)}
    assert refused == {"QTICKETS_TOKEN", "ORG_NAME", "CLICKHOUSE_USER", "CLICKHOUSE_PASSWORD", "DRY_RUN"}
    again = ensure_env_file(str(path), sample=str(SAMPLE), required=["QTICKETS_TOKEN", "ORG_NAME"])
    assert (again.changed, {name for _, name in errors(again)}) == (False, refused)


def test_check_mode_tells_the_same_and_makes_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    report = ensure_env_file(str(path), sample=str(SAMPLE), required=["ORG_NAME"], check_mode=True)
    assert report.changed
    assert ("config_placeholder", "ORG_NAME") in errors(report)
    assert not path.exists()


@pytest.mark.parametrize("sample", [None, "/nowhere/sample", str(SAMPLE)])
def test_a_missing_file_without_a_sample_is_refused(tmp_path: Path, sample: str | None) -> None:
    report = ensure_env_file(str(tmp_path / ".env"), sample=sample, required=["WAREHOUSE_URL"])
    assert errors(report) == [("config_env_file", str(tmp_path / ".env"))]
    assert "does not exist" in report.findings[0].headline


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o666, 0o606])
def test_a_file_open_to_others_is_closed_and_reported(tmp_path: Path, mode: int) -> None:
    check(tmp_path, GOOD)
    path = tmp_path / ".env"
    path.chmod(mode)
    planned = ensure_env_file(str(path), check_mode=True)
    assert (planned.changed, stat.S_IMODE(path.stat().st_mode)) == (True, mode)
    refused = ensure_env_file(str(path), write=False)
    assert errors(refused) == [("config_env_file", str(path))]
    assert "chmod 600" in (refused.findings[0].next_step or "")
    report = ensure_env_file(str(path))
    assert (report.changed, stat.S_IMODE(path.stat().st_mode)) == (True, 0o600)
    assert [(found.severity, found.actual) for found in report.findings] == [("warning", f"{mode:04o}")]
    assert ensure_env_file(str(path)).changed is False


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "a directory" in ensure_env_file(str(tmp_path)).findings[0].headline
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in ensure_env_file(str(tmp_path / "pipe")).findings[0].headline
    (tmp_path / "large").write_bytes(b"A=1\n" * 300_000)
    assert "a page of text" in ensure_env_file(str(tmp_path / "large")).findings[0].headline


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    check(tmp_path, GOOD)
    (tmp_path / ".env").chmod(0)
    report = ensure_env_file(str(tmp_path / ".env"), write=False)
    assert "cannot be read" in report.findings[0].headline


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_wrong_owner_is_corrected_or_named(tmp_path: Path) -> None:
    check(tmp_path, GOOD)
    path = tmp_path / ".env"
    os.chown(path, 65534, -1)
    assert (
        "belongs to nobody, expected root" in ensure_env_file(str(path), owner="root", write=False).findings[0].headline
    )
    assert ensure_env_file(str(path), owner="root").changed
    assert path.stat().st_uid == 0


def test_the_sample_has_productions_names() -> None:
    names = set(parse_env(SAMPLE.read_bytes(), "sample").values)
    assert names == {
        "QTICKETS_BASE_URL", "QTICKETS_TOKEN", "QTICKETS_SINCE_HOURS", "ORG_NAME", "CLICKHOUSE_HOST", "CLICKHOUSE_PORT",
        "CLICKHOUSE_DB", "CLICKHOUSE_USER", "CLICKHOUSE_PASSWORD", "CLICKHOUSE_SECURE", "CLICKHOUSE_VERIFY_SSL", "TZ",
        "REPORT_TZ", "JOB_NAME", "DRY_RUN", "LOG_LEVEL",
    }  # fmt: skip


@pytest.mark.parametrize(
    "line", ["s3cr3tToken4711", "c2VjcmV0VG9rZW40NzEx==", "c2VjcmV0VG9rZW40NzEx=", "my s3cr3tToken4711=x"]
)
def test_a_secret_alone_on_a_line_is_not_shown(tmp_path: Path, line: str) -> None:
    path = tmp_path / ".env"
    path.write_text(f"{GOOD}\n{line}\n")
    report = ensure_env_file(str(path))
    said = repr((report.findings, report.env))
    assert "4711" not in said
    assert "c2Vj" not in said
    assert report.findings, "the line is refused by its number"


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("clickhouse://loader:p@ss@wh:9000/shop?secure=1&password=x", "clickhouse://wh:9000/shop"),
        ("clickhouse+native://loader:secret@wh-1:9440", "clickhouse+native://wh-1:9440"),
        ("https://0123456789abcdef@sentry.example/17", "https://sentry.example/17"),
        ("tcp://a:9000,b:9000/d", "tcp://a:9000,b:9000/d"),
        ("host=wh password=secret", None),
    ],
)
def test_of_a_dsn_its_address_is_shown_and_nothing_else(dsn: str, shown: str | None) -> None:
    assert public_env({"SINK_DSN": dsn}) == ({"SINK_DSN": shown} if shown else {})


def test_a_content_that_the_play_brings_is_written_once_for_its_owner_alone(tmp_path):
    path = tmp_path / "env"
    path.write_text("OLD=1\n")
    for changed in (True, False):
        report = ensure_env_file(str(path), content="A=1\n", required=["A"])
        assert (report.changed, report.findings) == (changed, [])
        assert path.read_text() == "A=1\n"
        assert path.stat().st_mode & 0o777 == 0o600
    assert not ensure_env_file(str(path), content="A=2\n", check_mode=True).findings
    assert path.read_text() == "A=1\n"
    (refused,) = ensure_env_file("/proc/no/env", content="A=1\n").findings
    assert "cannot be written" in refused.headline
