"""The catalogue: every id that can be said stands in it, and no two causes claim one text."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from ansible.module_utils.ingest_verify import causes
from ansible.module_utils.ingest_verify.causes import CATALOGUE, LOG, SIDES, Cause, Form, by_id, forms_of
from ansible.module_utils.ingest_verify.clickhouse.error_codes import KINDS, kind_of, name_of
from ansible.module_utils.ingest_verify.client import ServerError
from ansible.module_utils.ingest_verify.diagnosis.client_side import rules
from ansible.module_utils.ingest_verify.diagnosis.client_side.context import Context
from ansible.module_utils.ingest_verify.diagnosis.request import Request
from ansible.module_utils.ingest_verify.diagnosis.server_side.classify import classify
from ansible.module_utils.ingest_verify.diagnosis.server_side.network import broken_by_own_client
from ansible.module_utils.ingest_verify.diagnosis.server_side.refusal import Refusal
from ansible.module_utils.ingest_verify.diagnosis.server_side.unlogged import told_refusal
from ansible.module_utils.ingest_verify.diagnosis.setup import look_at_server
from ansible.module_utils.ingest_verify.facts.catalog import Catalog
from ansible.module_utils.ingest_verify.facts.log import ClientError
from ansible.module_utils.ingest_verify.facts.server import Evidence
from ansible.module_utils.ingest_verify.findings import Finding
from ansible.module_utils.ingest_verify.script_advice import cause_of

ROOT = Path(__file__).resolve().parents[2]
FORMS = [(cause, form) for cause in CATALOGUE.values() for form in cause.forms]


def classified(sql: str, exception: str, code: int) -> Finding:
    refusal = Refusal(sql, exception, code, name_of(code), "loader", "shop")
    decision = classify(refusal, Catalog(Evidence(lambda sql: [])))
    return Finding(
        "qtickets_ingest",
        "error",
        decision.cause,
        decision.headline,
        next_step=decision.next_step,
        fix_side=decision.fix_side,
    )


def test_an_unknown_id_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="no cause of the catalogue"):
        Finding("schema_apply", "error", "server_mising_column", "x")
    with pytest.raises(ValueError, match="no cause"):
        by_id("")


def test_a_side_is_one_of_six_words() -> None:
    with pytest.raises(ValueError, match="fix_side is one of"):
        Finding("schema_apply", "error", "server_missing_column", "x", fix_side="the ingest")
    assert Finding("schema_apply", "error", "server_missing_column", "x", next_step="y").fix_side in SIDES


def test_a_field_that_nothing_fills_is_an_error_when_the_template_is_read() -> None:
    with pytest.raises(ValueError, match="no such field: tabel"):
        Form(("exists",), "", "{tabel} exists", "Drop it.", "loader")
    with pytest.raises(ValueError, match="side is one of"):
        Cause("x", "x", "operator", "x", step="x")


def test_what_is_only_likely_says_when_and_how_to_see_whether_it_is_so() -> None:
    """By the rules' own source: the catalogue knows when the cause is likely, the rule what confirms it."""
    found = 0
    for path in (ROOT / "module_utils/ingest_verify/diagnosis").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            given = {word.arg for word in call.keywords} if isinstance(call, ast.Call) else set()
            if not given & {"certainty", "confirm", "otherwise"} or not isinstance(call, ast.Call):
                continue
            texts = [word.value for word in call.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
            cause = next((text for text in texts if text in CATALOGUE), None)
            if cause is None:
                continue
            found += 1
            assert by_id(cause).likely, (path.name, cause)
            step = ast.unparse(call)
            assert given >= {"confirm", "otherwise"} or "To confirm it: " in step, (path.name, cause)
    assert found > 10


def test_every_id_in_roles_and_plays_stands_in_the_catalogue() -> None:
    said = set()
    for path in [*ROOT.glob("roles/**/*.yml"), *ROOT.glob("playbooks/*.yml"), ROOT / "verify.yml"]:
        said |= set(
            re.findall(r"(?:_cause|\bcause): ([a-z]+_[a-z_]+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        )
    assert said
    assert said <= set(CATALOGUE)


@pytest.mark.parametrize("path", ["compose_project", "docker_cli", "container_run"])
def test_every_kind_of_the_host_s_errors_stands_in_the_catalogue(path: str) -> None:
    text = (ROOT / "module_utils" / "ingest_verify" / f"{path}.py").read_text(encoding="utf-8")
    documented = re.search(r"`kind` is (?:the cause class without its prefix: |one of )((?:`\w+`[,.\s]*)+)", text)
    assert documented
    for kind in re.findall(r"`(\w+)`", documented[1]):
        by_id(f"host_{kind}")


def test_every_kind_of_a_reset_s_errors_stands_in_the_catalogue() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "module_utils/ingest_verify/reset").glob("*.py")]
    kinds = {kind for text in texts for kind in re.findall(r'ResetError\(\s*"(\w+)",', text)}
    assert len(kinds) >= 10
    for kind in kinds:
        by_id(f"host_{kind}")


@pytest.mark.parametrize(("cause", "form"), FORMS, ids=[f"{cause.id}-{form.example[:30]}" for cause, form in FORMS])
def test_one_cause_claims_a_text_or_is_narrower(cause: Cause, form: Form) -> None:
    assert form.example, "a form stays only with a real text"
    for kind in form.kinds:
        assert not kind or kind == LOG or kind in KINDS
    claimed = {kind: [one.id for one, _, _ in forms_of(kind, form.example)] for kind in form.kinds}
    assert [cause.id] in claimed.values(), claimed
    assert all(len(ids) <= 1 for ids in claimed.values()), claimed


def test_the_codes_that_rules_speak_of_have_the_kind_that_they_ask_for() -> None:
    assert (kind_of(60), name_of(60)) == ("missing_table", "UNKNOWN_TABLE")
    assert (kind_of(49), name_of(49)) == ("", "LOGICAL_ERROR")
    assert (kind_of(99999), name_of(99999)) == ("", "")


def test_a_code_that_the_table_lacks_is_told_with_the_server_s_own_sentence() -> None:
    found = classified("OPTIMIZE TABLE shop.t", "Code: 4242. DB::Exception: The moon is in the way", 4242)
    assert found.cause == "server_refused_statement"
    assert "code 4242: The moon is in the way" in found.headline


@pytest.mark.parametrize("kind", [kind for kind, known in KINDS.items() if known.cause])
def test_a_code_that_tells_its_cause_by_itself_tells_every_stage_the_same(kind: str) -> None:
    """The schema's stage takes the cause from the table of codes; the ingest's rules say the same, or more."""
    code = next(code for code in range(1, 1000) if kind_of(code) == kind)
    by_id(KINDS[kind].cause)
    assert cause_of(ServerError(code, "It did not work.", "INSERT INTO shop.t VALUES (1)")) == KINDS[kind].cause
    sql = "INSERT INTO shop.t SELECT * FROM remote('10.0.0.7:9000', shop.t)"
    found = classified(sql, f"Code: {code}. DB::Exception: It did not work. ({name_of(code)})", code)
    # A text that names no column or object leaves no more than that the statement was refused.
    assert found.cause in (KINDS[kind].cause, "server_refused_statement")


SOCKET = "Code: 209. DB::NetException: Timeout exceeded while"


@pytest.mark.parametrize(
    ("sql", "text", "cause"),
    [
        (
            "INSERT INTO shop.t FORMAT Native",
            f"{SOCKET} receiving data from client. Waited for 3 seconds, timeout is 3 seconds. (SOCKET_TIMEOUT)",
            "client_idle_in_insert",
        ),
        (
            "INSERT INTO shop.t FORMAT JSONEachRow",
            f"{SOCKET} reading from socket (peer: 172.18.0.3:51284, local: 172.18.0.2:8123, 30000 ms)",
            "client_idle_in_insert",
        ),
        (
            "INSERT INTO shop.t SELECT * FROM remote('10.0.0.7:9000', shop.t)",
            f"{SOCKET} reading from socket (peer: 10.0.0.7:9000, local: 172.18.0.2:42110, 3000 ms)",
            "server_remote_unreachable",
        ),
    ],
)
def test_a_socket_that_timed_out_is_told_by_whose_it_was(sql: str, text: str, cause: str) -> None:
    found = classified(sql, text, 209)
    assert found.cause == cause
    if cause == "client_idle_in_insert":
        assert found.fix_side == "loader"
        assert "receive_timeout" in str(found.next_step)
        assert "table function" not in str(found.next_step)


@pytest.mark.parametrize(
    ("sql", "code", "text", "cause", "words", "never"),
    [
        (
            "DROP TABLE shop.orders",
            359,
            "Table or Partition in shop.orders was not dropped.\nReason:\n1. Size (60.00 GB) is greater than "
            "max_[table/partition]_size_to_drop (50.00 GB)",
            "server_drop_limit",
            "max_table_size_to_drop",
            "ALTER USER",
        ),
        (
            "ALTER TABLE shop.t ADD COLUMN x UInt8",
            473,
            'WRITE locking attempt on "shop.t" has timed out! (120000ms) Possible deadlock avoided.',
            "server_locked",
            "system.processes",
            "version",
        ),
        (
            "RENAME TABLE shop.a TO shop.b",
            49,
            "Unexpected state of shop.a",
            "server_refused_statement",
            "SHOW CREATE TABLE shop.a",
            "upgrade",
        ),
        (
            "INSERT INTO shop.t FORMAT Native",
            252,
            "Too many parts (100001) in all partitions in total in table 'shop.t'. This indicates wrong choice of "
            "partition key. The threshold can be modified with 'max_parts_in_total' setting",
            "server_too_many_parts",
            "PARTITION BY",
            "SYSTEM START MERGES",
        ),
        (
            "CREATE TABLE shop.t (a UInt8) ENGINE = MergTree ORDER BY a",
            56,
            "Unknown table engine MergTree. Maybe you meant: ['MergeTree']",
            "server_unsupported_ddl",
            "Is MergeTree meant?",
            "DROP",
        ),
    ],
)
def test_a_code_says_no_more_than_it_means(sql: str, code: int, text: str, cause: str, words: str, never: str) -> None:
    found = classified(sql, f"Code: {code}. DB::Exception: {text}. ({name_of(code)})", code)
    said = f"{found.headline} {found.next_step}"
    assert found.cause == cause
    assert words in said
    assert never not in said


@pytest.mark.parametrize(
    ("setup", "words", "never"),
    [
        ({"backend": "embedded", "place": "/srv/e"}, "tail -n 50 /srv/e/log/clickhouse-server.log", "docker"),
        ({"backend": "compose", "container": "ch-1"}, "docker inspect -f '{{json .State}}' ch-1", "dmesg"),
        ({"backend": "external"}, "clickhouse-server.err.log", "docker"),
        (None, "clickhouse-server.err.log", "docker"),
    ],
)
def test_where_to_look_fits_the_set_up(setup: dict[str, str] | None, words: str, never: str) -> None:
    assert words in look_at_server(setup)
    assert never not in look_at_server(setup)


def test_the_server_s_sentence_is_taken_out_of_a_go_client_s_text() -> None:
    error = ClientError(
        None, "x", text="fatal:\n--- proc.go:283 main ---\ncode: 16, message: No such column plan", server_code=16
    )
    assert told_refusal(error, Request(), "").brief == "No such column plan"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_refusal_without_its_statement_is_told_without_holes(kind: str) -> None:
    """What a log alone tells: the server's sentence, and neither statement nor catalog."""
    code = next(number for number in range(1100) if kind_of(number) == kind)
    for text in ("It did not work.", "No such column x in table shop.t", "Too many parts (300). Connection reset"):
        refusal = Refusal("", f"Code: {code}. DB::Exception: {text}", code, name_of(code), "ingest")
        told = classify(refusal, Catalog(Evidence(lambda sql: [])))
        said = " ".join(filter(None, (told.headline, told.next_step, told.expected, told.actual, told.object)))
        assert not re.search(r"\bNone\b|  |``|'{2}| \.(?!\.)|\{|^\W", said), said


def test_a_broken_socket_is_the_loaders_where_the_server_had_accepted_it() -> None:
    """By the ports at both ends, whatever the statement is."""
    said = "Code: 210. DB::NetException: Connection reset by peer, while reading from socket (peer: {}, local: {})"
    own, other = said.format("10.0.0.4:41022", "10.0.0.9:9000"), said.format("10.0.0.4:9000", "10.0.0.9:41022")
    assert broken_by_own_client(own)
    assert not broken_by_own_client(other)
    assert classified("SELECT count() FROM shop.pages", own, 210).cause == "client_aborted_insert"
    assert classified("SELECT count() FROM shop.pages", other, 210).cause == "server_remote_unreachable"


HOW_TO = (ROOT / "docs/how-to/add-a-cause.md").read_text(encoding="utf-8")


def test_a_new_cause_is_one_object_as_the_how_to_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own examples are told by what the page shows, on both sides, and by nothing else."""
    blocks = re.findall(r"```python\n(.+?)```", HOW_TO, re.DOTALL)
    client, server = (eval(block, vars(causes)) for block in blocks)
    text = f"{client.forms[0].example} "
    unknown = rules.judge(ClientError("RuntimeError", text, text=text), Context())
    assert unknown.cause == "client_exception"
    monkeypatch.setattr(causes, "CATALOGUE", {**CATALOGUE, client.id: client, server.id: server})
    judged = rules.judge(ClientError("RuntimeError", text, text=text), Context())
    assert (judged.cause, judged.object) == ("client_token_file", "/run/secrets/token")
    assert judged.headline == "The loader's token file /run/secrets/token is empty."
    refusal = Refusal("CREATE DICTIONARY prices", server.forms[0].example, 36, "BAD_ARGUMENTS", "loader", "shop")
    assert classify(refusal, Catalog(Evidence(lambda sql: []))).cause == server.id
