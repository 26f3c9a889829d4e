"""Masking: every form of a configured secret, secrets and personal data by their shape, and no ordinary figure."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from urllib.parse import quote, quote_plus

import pytest
from ansible.module_utils.ingest_verify.masking import CONFIGURED, Masker, is_secret_name, mask, secret_values
from hypothesis import given, settings
from hypothesis import strategies as st

# With all that quoting changes.
SECRET = "p@ss wörd'\"&/+<%$Zq7"
FORMS = {
    "as is": lambda s: s,
    "JSON": json.dumps,
    "JSON, not ASCII": lambda s: json.dumps(s, ensure_ascii=False),
    "JSON inside JSON": lambda s: json.dumps(json.dumps({"a": s})),
    "repr": repr,
    "repr among others": lambda s: repr({"a": s, "b": 'it\'s "x"'}),
    "bytes": lambda s: repr(s.encode()),
    "a SQL literal, doubled": lambda s: "'" + s.replace("'", "''") + "'",
    "a SQL literal, escaped": lambda s: "'" + s.replace("\\", "\\\\").replace("'", "\\'") + "'",
    "URL, all": lambda s: quote(s, safe=""),
    "URL, path": quote,
    "URL, form": quote_plus,
    "URL, lower case": lambda s: re.sub("%..", lambda m: m[0].lower(), quote(s, safe="")),
    "URL, twice": lambda s: quote(quote(s, safe=""), safe=""),
    "HTML": html.escape,
    "HTML by number": lambda s: "".join(c if c.isalnum() and c.isascii() else f"&#{ord(c)};" for c in s),
    "shell": shlex.quote,
    "shell, backslashes": lambda s: re.sub(r"([^\w@%+=:,./-])", r"\\\1", s, flags=re.ASCII),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 for URLs": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "base64 with a user": lambda s: base64.b64encode(f"loader:{s}".encode()).decode(),
    "base64 with another user": lambda s: base64.b64encode(f"admin2:{s}".encode()).decode(),
    "base64 in lines": lambda s: base64.encodebytes((f"{'u' * 40}:{s}" * 2).encode()).decode(),
    "hex": lambda s: s.encode().hex(),
    "hex, upper case": lambda s: s.encode().hex().upper(),
    "over two lines": lambda s: s[: len(s) // 2] + "\n" + s[len(s) // 2 :],
    "over two lines, indented": lambda s: s[: len(s) // 2] + "\r\n    " + s[len(s) // 2 :],
    "over two lines of a shell": lambda s: s[: len(s) // 2] + "\\\n" + s[len(s) // 2 :],
    "over two strings": lambda s: f"'{s[: len(s) // 2]}'\n  '{s[len(s) // 2 :]}'",
    "JSON of two lines": lambda s: json.dumps(s[: len(s) // 2] + "\n" + s[len(s) // 2 :]),
}
PLACES = {
    "SQL": "INSERT INTO zakaz.orders SETTINGS x = {} VALUES (1, 2)",
    "exception": "Code: 516. DB::Exception: loader: Authentication failed: {} (AUTHENTICATION_FAILED)",
    "header": "> GET /orders HTTP/1.1\nAccept: */*\nX-Thing: {}\nHost: api\n",
    "log": "2026-11-28 08:45:01,123 ERROR loader: cannot log in with {} after 3 tries",
}


def _leaks(text: str, secret: str) -> bool:
    """Whether a reader of `text` could put the secret together: its longest plain part, or what encodes it."""
    joined = re.sub(r"\\?\r?\n\s*|\\n", "", text)
    plain = max(re.findall(r"[A-Za-z0-9]{3,}", secret), key=len)
    raw = secret.encode()
    return any(
        part in joined for part in (plain, raw.hex()[:12], raw.hex().upper()[:12], base64.b64encode(raw).decode()[:8])
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_configured_secret_is_masked_in_every_form(form: str) -> None:
    for name, place in PLACES.items():
        text = place.format(FORMS[form](SECRET))
        masked = Masker([SECRET]).text(text)
        for part in ("wörd", "w\\u00f6rd", "Zq7", b"Zq7".hex()):
            assert part not in masked, (name, masked)
        assert not _leaks(masked, "passwordsecretZq7" if "base64" in form else SECRET), (name, masked)
        assert "***" in masked
        assert masked.startswith(place.partition("{")[0]), "what is around it stays"
        assert Masker([SECRET]).kinds(text).count(CONFIGURED) == 1
        assert Masker([SECRET]).kinds(masked) == [], "a second look finds nothing"


_SIGNS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x4FF, exclude_categories=("C", "Z", "Mn")), min_size=2, max_size=16
)
# Any signs around a few letters, as whoever makes passwords wants them.
_SECRETS = st.builds("{}{}{}".format, _SIGNS, st.from_regex(r"[A-Za-z][A-Za-z0-9]{4,8}", fullmatch=True), _SIGNS)


@settings(max_examples=150, deadline=None)
@given(
    secret=_SECRETS, form=st.sampled_from(sorted(FORMS)), place=st.sampled_from(sorted(PLACES)), around=st.booleans()
)
def test_hidden_secrets_are_found(secret: str, form: str, place: str, around: bool) -> None:
    printed = FORMS[form](secret)
    text = PLACES[place].format(f"({printed})" if around else printed)
    masked = Masker([secret]).text(text)
    assert printed not in masked
    assert CONFIGURED in Masker([secret]).kinds(text)
    assert Masker([secret]).text(masked) == masked
    assert masked[:8] == text[:8]


SHAPES = [
    ("https://loader:s3cr3t-Pa55@api.example.org/v1", "s3cr3t"),
    ("clickhouse://default:p%40ss%2Fw0rd@db:9000/zakaz", "w0rd"),
    ("postgresql://u:pa/ss-w0rd@db:5432/x", "w0rd"),
    ("redis://:hunter2secret@cache:6379/0", "hunter2"),
    ("https://0123456789abcdef0123456789abcdef@o1.ingest.sentry.io/4", "0123456789abcdef"),
    ("Authorization: Bearer abc.DEF-123_x", "abc.DEF"),
    ("authorization: bearer hunterhunter22", "hunterhunter"),
    ("Authorization: Token hunterhunter", "hunterhunter"),
    ("{'Authorization': 'Token hunterhunter', 'Accept': '*/*'}", "hunterhunter"),
    ('{"Authorization": "Basic aHVudGVyOmh1bnRlcg=="}', "aHVudGVy"),
    ("[('Authorization', 'ApiKey hunterhunter'), ('Accept', '*/*')]", "hunterhunter"),
    (r'"headers": "{\"X-Api-Key\": \"hunter hunter\"}"', "hunter"),
    ("curl -H 'X-Api-Key: hunterhunter' https://api", "hunterhunter"),
    ("X-Api-Key: hunter", "hunter"),
    ("Cookie: sid=hunterhunter; lang=ru", "hunterhunter"),
    ("Set-Cookie: session=hunterhunter; Path=/; HttpOnly", "hunterhunter"),
    ("{'cookie': 'sid=hunterhunter; a=b'}", "hunterhunter"),
    ("X-ClickHouse-Key: hunterhunter", "hunterhunter"),
    ("GET /v1/orders?api_key=hunterhunter&page=2", "hunterhunter"),
    ("GET /v1/orders?page=2&key=AIzahunterhunter", "hunterhunter"),
    ("https://b.s3.amazonaws.com/f?X-Amz-Credential=AKhunter%2F2026&X-Amz-Signature=deadhunter77", "hunter"),
    ("https://acc.blob.core.windows.net/c?sv=2024&sig=hunterhunter%3D", "hunterhunter"),
    ("https://x/y?token=hunterhunter#frag", "hunterhunter"),
    ("CREATE USER u IDENTIFIED BY \"hunter hunter\" HOST ANY", "hunter"),
    ("CREATE USER u IDENTIFIED WITH sha256_password BY 'it''s hunter' SETTINGS x = 1", "hunter"),
    ("CREATE USER u IDENTIFIED WITH plaintext_password BY 'a \\' hunter'", "hunter"),
    ("ALTER USER u IDENTIFIED WITH sha256_hash BY 'a0b1c2hunter'", "hunter"),
    ("mysql -u root -phunterhunter zakaz", "hunterhunter"),
    ("sshpass -p 'hunter hunter' ssh x", "hunter hunter"),
    ("docker login -u me -p hunterhunter registry", "hunterhunter"),
    ("clickhouse-client --user x --password hunterhunter -q 'SELECT 1'", "hunterhunter"),
    ("loader --user x --password 'hunter hunter'", "hunter hunter"),
    ('loader --password="hunter hunter" --x', "hunter hunter"),
    ("['loader', '--password', 'hunter hunter']", "hunter hunter"),
    ("curl -u me:hunterhunter https://api", "hunterhunter"),
    ("password = 'hunter \"hunter\" \\' x'", "hunter"),
    ('{"password": "hunter \\"hunter\\" x"}', "hunter"),
    (r'{"body": "{\"password\": \"hunter hunter\"}"}', "hunter"),
    ("Settings(user='x', password='hunter hunter', port=1)", "hunter"),
    ("DB_PASSWORD=hunter hunter", "hunter"),
    ("export API_KEY=hunter two three", "hunter"),
    ("SOURCE(MYSQL(USER 'u' PASSWORD 'hunter hunter' HOST 'h'))", "hunter"),
    ("requests.get(url, auth=('me', 'hunterhunter'))", "hunterhunter"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEhunter\nhunter==\n-----END RSA PRIVATE KEY-----", "hunter"),
    ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.hunterhunter", "hunterhunter"),
    ("https://api.telegram.org/bot123456:AAhunterhunter/sendMessage", "hunterhunter"),
    ("AWS key AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    ("buyer ivan.petrov+x@mail.example.ru wrote", "petrov"),
    ("'ivan%40example.org'", "ivan"),
    ("call +7 (916) 123-45-67 now", "123-45"),
    ("+49 30 901820 345", "901820"),
    ("phone 8-916-123-45-67", "123-45"),
    ("VALUES (1, '79161234567')", "9161234"),
    ('"client_phone": "79161234567"', "9161234"),
    ("phone=79161234567", "9161234"),
    ("телефон: 89161234567", "9161234"),
    ("paid with 4111 1111 1111 1111.", "1111"),
    ("card 5500005555555559, order 7", "55555"),
    ("'2200700000000017'", "220070"),
    ("amex 3782-822463-10005", "822463"),
    ("{'surname': 'Petrov', 'barcode': '77001'}", "Petrov"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "hidden"), SHAPES)
def test_secrets_and_personal_data_are_known_by_their_shape(text: str, hidden: str) -> None:
    for around in (text, f"{text}\n", f"2026-11-28 ERROR {text}\n2026-11-28 INFO next line"):
        if around.startswith("2026") and re.match(r"(?:export |DB_)", text):
            continue  # a line of an env file is one only by itself
        masked = mask(around)
        assert hidden not in masked, masked
        assert mask(masked) == masked
        assert Masker().kinds(around)
        assert Masker().kinds(masked) == []
        assert around.endswith("next line") == masked.endswith("\n2026-11-28 INFO next line"), masked


EVIDENCE = [
    "2026-11-28 08:45:01,123 INFO loader: 400123 rows, 1764319500123 ms, 1764319500123456 us, 5 retries",
    "order_id=4111111111111111 ver=20261128084501 rows=16000000000 seats=8 916 400",
    "SELECT count() FROM zakaz.orders WHERE id IN (79161234567, 89161234567, 4000123412341235)",
    "query_id 4b2f9d04-1c51-4f6b-9d5c-8d2a4f1e0b11, hash 9876543210123456789, part 20261128_1_4_2",
    "0.4111111111111111 1.6011000990139424e10 version 24.8.4.13 at 192.168.100.200:9000",
    "+2026-11-28 08:45:01 1234567890 rows\n-2026-11-27 08:45:01 1234567890 rows",
    "window 2026-11-28T08:45:01.123456+00:00 to 2026-11-28T08:46:01.123456+03:00",
    "ENGINE = ReplacingMergeTree(_ver) PRIMARY KEY (id) ORDER BY (id, ver) SETTINGS index_granularity = 8192",
    "Authentication failed: password is incorrect, or there is no user with such name.",
    "loader: Authentication failed: password: wrong for user loader",
    "Syntax error: failed at position 12 ('FROM'): unexpected token order_id. Expected one of: token, Basic, alias",
    "Max tokens: 5, token_count=5, pass_rate=0.98, passed: 17, keys: 12, compass=north",
    "docker run -p 8080:80 -p 9000 mkdir -p /var/x ssh -p 22 host; ps -p 4711; cp -p a b",
    "repository/loader@sha256:4b2f9d041c514f6b9d5c8d2a4f1e0b114b2f9d041c514f6b9d5c8d2a4f1e0b11",
    "http://127.0.0.1:8123/?query=SELECT%201&database=zakaz&sort_key=id&primary_key=id",
    "'ingest'@'%' and loader@localhost, @pytest.mark.docker, git@v2",
    "KeyError: 'order_id'  key=order_id group_key: 12345678",
    "Row 1: Column 0, name: order_id, type: UInt64, parsed text: \"12\"",
    "secret-free, tokenize(), no password, an auth error, Bearer authentication is required, Basic authentication",
    "url(https://api.qtickets.ru/api/rest/v1/orders?page=2&limit=100)",
    "1 234 567 890 12 34 rows, 8 123 456 78 90 bytes, 2026 1128 0845 0112",
    "exit code 137, pid 4711, 3735928559 bytes, 1099511627776 limit, 18446744073709551615",
    "/usr/lib/python3.11/site-packages/urllib3/connectionpool.py:715",
    "CREATE TABLE t (token String, password_hash String, phone String, email String, key UInt64) ENGINE = Log",
]  # fmt: skip


@pytest.mark.parametrize("text", EVIDENCE)
def test_evidence_stays_as_it_is(text: str) -> None:
    assert mask(text) == text
    assert Masker(["Zq7-another-secret", "1234", "true"]).text(text) == text


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 2**64 - 1).filter(lambda n: len(str(n)) not in (15, 16)),
    st.sampled_from(["id {}", "({}, 1)", "rows={}", "{}"]),
)
def test_a_figure_is_no_personal_data(number: int, place: str) -> None:
    text = place.format(number)
    assert mask(text) == text


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_masked_once_and_for_all(text: str) -> None:
    masker = Masker(["hunter\u0130hunter", "x" * 5])
    masked = masker.text(text)
    assert masker.text(masked) == masked
    assert masker.kinds(masked) == []


def test_data_is_masked_under_its_names_and_keeps_its_types() -> None:
    data = {
        "token": "abcd", "API_KEY": "x y", "rows": 5, "key": "2026-11-01", "email": "a@b.example", "phone": 79161234567,
        "deep": [{"text": "Bearer abc.def.123", "ok": True, "none": None}], "Authorization": "Token x",
    }  # fmt: skip
    assert Masker(["x y z"]).data(data) == {
        "token": "***", "API_KEY": "***", "rows": 5, "key": "2026-11-01", "email": "<personal>", "phone": "<personal>",
        "deep": [{"text": "Bearer ***", "ok": True, "none": None}], "Authorization": "***",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "secret"),
    [("QTICKETS_TOKEN", True), ("CLICKHOUSE_PASSWORD", True), ("API_KEY", True), ("DB_PASS", True),
     ("SENTRY_DSN", True),
     ("PASS", True), ("PW", True), ("AUTH", True), ("DATABASE_URL", True), ("X_AUTH", True), ("PGPASSWORD", True),
     ("MYSQL_PWD", True), ("apiKey", True), ("SECRET_KEY_BASE", True), ("TOKEN_2", True), ("SLACK_WEBHOOK_URL", True),
     ("CELERY_BROKER_URL", True), ("dbPassword", True), ("X-Api-Key", True), ("SESSION_COOKIE", True),
     ("CLICKHOUSE_USER", False), ("ORG_NAME", False), ("CLICKHOUSE_DB", False), ("TZ", False), ("PRIMARY_KEY", False),
     ("AUTHOR", False), ("BYPASS", False), ("PASS_RATE", False), ("TOKEN_TTL", False), ("PASSWORD_FILE", False),
     ("SSH_AUTH_SOCK", False), ("KEYSPACE", False), ("COMPASS", False), ("QTICKETS_BASE_URL", False),
     ("AUTH_TYPE", False)],
)  # fmt: skip
def test_secret_names(name: str, secret: bool) -> None:
    assert is_secret_name(name) is secret


def test_the_secrets_of_an_environment() -> None:
    env = {"DATABASE_URL": "postgres://u:p%40ss-1@h/d", "PROXY": "http://me:other-1@p:1", "AUTH": "basic", "PASS": "12",
           "TOKEN": " 'quoted-1' ", "ORG": "acme"}  # fmt: skip
    found = secret_values(env)
    assert {"postgres://u:p%40ss-1@h/d", "p%40ss-1", "p@ss-1", "other-1", "quoted-1", "'quoted-1'"} == set(found)


def test_time_grows_with_the_text_and_not_with_its_square() -> None:
    """With a square of it this test would not end."""
    hostile = [
        "password=" * 4000,
        "://a:b" * 4000,
        "a@" * 8000,
        'password="' * 4000,
        "-p " * 8000,
        "+7" * 8000,
        "4111 " * 4000,
    ]
    for text in (part * 10 for part in hostile):
        assert len(mask(text)) <= 2 * len(text)
