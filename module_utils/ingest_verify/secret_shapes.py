"""What looks like a secret or like personal data, where nobody configured it.

Each rule begins at a word that is looked for without a regular expression, so that the time grows with the text and not
with its square, and a text without such words costs next to nothing. What a rule masked it does not find again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

MASK = "***"

_Replace = Callable[[re.Match[str]], str | None]


@dataclass(frozen=True)
class Rule:
    """Masks what `pattern` matches where one of `hints` (lower case) stands; `back` characters may come before it.

    `replace` is a template, or a function that gives None where the match is no secret.
    """

    kind: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    replace: str | _Replace
    back: re.Pattern[str] | None = None

    def apply(self, text: str, lower: str, present: Iterable[str]) -> str:
        """`text` with the rule's finds masked; the same object where there is none. `present` are its hints there."""
        pieces, done = [], 0
        for hint in _places(lower, present):
            begin = hint
            if self.back is not None:
                begin -= _reach(self.back, text, hint)
            if begin < done or (match := self.pattern.match(text, begin)) is None:
                continue
            shown = match.expand(self.replace) if isinstance(self.replace, str) else self.replace(match)
            if shown is None or shown == match[0]:
                # Masked before: what is behind it may not be.
                done = max(done, hint)
                continue
            pieces += [text[done:begin], shown]
            done = match.end()
        return "".join([*pieces, text[done:]]) if pieces else text


def _places(lower: str, hints: Iterable[str]) -> Iterator[int]:
    """Where one of the hints stands, in order."""
    found: list[int] = []
    for hint in hints:
        place = lower.find(hint)
        while place >= 0:
            found.append(place)
            place = lower.find(hint, place + 1)
    return iter(sorted(set(found)))


def _reach(back: re.Pattern[str], text: str, end: int) -> int:
    """How many characters before `end` belong to the match, 64 at most."""
    match = back.match(text[max(0, end - 64) : end][::-1])
    return match.end() if match else 0


_I = re.IGNORECASE
# In quotes as they stand, or escaped inside another string; the body ends at its own quote.
_BODY = (
    r"(?:(?P<q>\\+[\"'])(?:.{0,1024}?)(?<!\\)(?P=q)"
    r"|(?P<r>[\"'])(?:\\.|''|(?!(?P=r))[^\\]){0,1024}+(?P=r))"
)
WORDS = (
    r"(?:pass(?:word|wd|phrase)|pwd|secret(?:[_-]?(?:access[_-]?)?key)?"
    r"|(?:access|auth|refresh|api|bearer|session|id)?[_-]?token"
    r"|api[_-]?key|access[_-]?key(?:[_-]?id)?|private[_-]?key|signing[_-]?key|encryption[_-]?key|account[_-]?key"
    r"|credentials?|x-clickhouse-key|client[_-]secret)"
)
# fmt: off
_WORD_HINTS = (
    "passw", "passphrase", "pwd", "secret", "token", "api_key", "apikey", "api-key", "access_key", "accesskey",
    "access-key", "private_key", "private-key", "privatekey", "signing_key", "signing-key", "encryption_key",
    "encryption-key",    "account_key", "accountkey", "credential", "x-clickhouse-key",
)
# fmt: on
TAIL = r"(?:s\b)?(?:[_-]?(?:hash|sha256(?:_hex)?|double_sha1_hex|value|old|new|\d{1,2}))?"


# What stands where a secret is to be put in, as in a command that a finding proposes; and what is masked already.
_PLACEHOLDER = re.compile(
    r"(?:(?:Bearer|Basic|Token|Digest|ApiKey|Key)\s+)?(?:\$\{?\w{1,64}\}?|\$\(.{1,200}\)|<[^<>]{1,64}>|\{\{.{1,100}\}\}|\*\*\*.*)",
    _I,
)


def _masked_value(match: re.Match[str]) -> str | None:
    """What stands before the value, with its quotes, and the mask."""
    groups = match.groupdict()
    quote, value = groups.get("q") or groups.get("r") or "", match["value"]
    inner = value[len(quote) : len(value) - len(quote)] if quote else value
    if not inner.strip() or inner.startswith(MASK) or _PLACEHOLDER.fullmatch(inner.strip()):
        return None
    return f"{match['keep']}{quote}{MASK}{quote}"


def _looks_random(value: str) -> bool:
    """A value behind a colon and no word of a sentence: digits or signs among the letters."""
    return len(value) >= 6 and (any(char.isdigit() for char in value) or bool(re.search(r"[^\w.,:;-]", value)))


def _colon_value(match: re.Match[str]) -> str | None:
    return _masked_value(match) if _looks_random(match["value"]) else None


def _whole_line_value(match: re.Match[str]) -> str | None:
    """`NAME=value with blanks`, alone on its line, as in an env file."""
    before = match.string[max(0, match.start() - 80) : match.start()]
    name = before.rpartition("\n")[2]
    if len(name) == 80 or not re.fullmatch(r"\s*(?:export\s+)?[A-Z0-9_]*", name):
        return None
    return _masked_value(match)


def _header_value(match: re.Match[str]) -> str | None:
    value = match["value"].strip()
    return None if not value or _PLACEHOLDER.fullmatch(value) else f"{match['keep']}{MASK}"


def _scheme_value(match: re.Match[str]) -> str | None:
    scheme, value = match["scheme"].lower(), match["value"]
    mixed = any(char.isdigit() for char in value) or any(char in "=+/~" for char in value)
    inner_capitals = any(char.isupper() for char in value[1:]) and any(char.islower() for char in value)
    if scheme == "token":
        secret = len(value) >= 16 and any(char.isdigit() for char in value) and any(char.isalpha() for char in value)
    else:
        secret = mixed or inner_capitals or len(value) >= 24
    return f"{match['keep']}{MASK}" if secret else None


# Programs whose -p takes a password; of others it does where a user is given beside it.
_PASSWORD_PROGRAMS = re.compile(
    r"\b(?:mysql\w*|mariadb\w*|sshpass|clickhouse(?:-client|-local)?|htpasswd|docker\s+login|podman\s+login"
    r"|(?:helm|oras|crane)\s+\w*\s*login"
    r"|mongo(?:sh|dump|export|import)?|psql|ftp|lftp|az\s+login|smbclient|7z|unzip|zip)\b"
)
_USER_OPTION = re.compile(r"(?:^|\s)(?:-u\s?\S|--user(?:name)?[\s=])")
_NO_PASSWORD = re.compile(r"(?:\d{1,5}(?::\d{1,5})?(?:/\w+)?|/.*|\.{0,2}/.*|-.*|\*\*\*.*)")


def _option_p(match: re.Match[str]) -> str | None:
    line = match.string[max(0, match.start() - 400) : match.start()].rpartition("\n")[2]
    program = _PASSWORD_PROGRAMS.search(line)
    after = match.string[match.end() : match.end() + 200].partition("\n")[0]
    if program is None and not _USER_OPTION.search(line + " " + after):
        return None
    value = match["value"].strip("'\"")
    attached = not match["keep"].endswith((" ", "\t"))
    if not value or value.startswith(MASK) or (_NO_PASSWORD.fullmatch(value) and not (attached and program)):
        return None
    if program is not None and program[0].startswith(("mysql", "mariadb")) and not attached:
        # A blank behind it: mysql asks for the password, the word is the database.
        return None
    return f"{match['keep']}{MASK}"


def _url_user(match: re.Match[str]) -> str | None:
    """A key in the user's place (Sentry's DSN, GitHub's token)."""
    user = match["value"]
    return f"{match['keep']}{MASK}@" if len(user) >= 16 and any(char.isdigit() for char in user) else None


def _email(match: re.Match[str]) -> str | None:
    # `repository@sha256.digest`, `python@3.11`, and a name of a file are no addresses.
    return None if match[0].rpartition(".")[2].lower() in ("py", "js", "so", "jar", "local") else "<e-mail>"


HEADERS = (
    r"(?:(?:proxy-)?authorization|(?:set-)?cookie|x-api-key"
    r"|x-[\w-]{0,40}(?:key|token|secret|password|signature)|api-key"
    r"|apikey|x-auth|x-amz-security-token|private-token|job-token)"
)
_HEADER_HINTS = (
    "authorization", "proxy-authorization", "cookie", "set-cookie", "x-", "api-key", "apikey", "private-token",
    "job-token",
)  # fmt: skip
RULES: tuple[Rule, ...] = (
    Rule(
        "a private key",
        ("-----begin",),
        re.compile(
            r"(-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----)(?!\*\*\*)"
            r"(?:(?!-----END).){1,20000}(?:(-----END [A-Z ]{0,30}-----)|$)?",
            re.DOTALL,
        ),
        rf"\1{MASK}\2",
    ),
    Rule(
        "credentials in a URL",
        ("://",),
        re.compile(r"(?P<keep>://[^\s:/@'\"<>]{0,200}:)(?!\*\*\*@)[^\s/'\"<>]{1,500}@"),
        rf"\g<keep>{MASK}@",
    ),
    # A password in which an unescaped / or blank stands, up to the last @ before a host with a port or a path.
    Rule(
        "credentials in a URL",
        ("://",),
        re.compile(
            r"(?P<keep>://[^\s:/@'\"<>]{1,200}:)(?!\*\*\*@)(?!\d{1,5}[/?\s'\"])[^\s'\"<>@]{1,200}@"
            r"(?=[\w.-]{1,200}(?::\d+)?[/?\s'\"]|[\w.-]{1,200}$)"
        ),
        rf"\g<keep>{MASK}@",
    ),
    Rule(
        "credentials in a URL", ("://",), re.compile(r"(?P<keep>://)(?P<value>[\w.~%+-]{16,200})@"), _url_user
    ),
    # Where the address itself is the secret: Telegram's bots, Slack's and Discord's hooks.
    Rule("a key in an address", ("/bot",), re.compile(r"(/bot)\d+:[\w-]{10,}"), rf"\1{MASK}"),
    Rule(
        "a key in an address",
        ("hooks.slack.com/services/", "/api/webhooks/"),
        re.compile(r"(hooks\.slack\.com/services/|/api/webhooks/)(?!\*\*\*)[\w/-]+"),
        rf"\1{MASK}",
    ),
    # Authorization: Token x; "Cookie": "a=b"; ('X-Api-Key', 'x'); -H 'X-Api-Key: x'.
    Rule(
        "a header with a secret",
        _HEADER_HINTS,
        re.compile(
            rf"(?P<keep>(?<![\w-]){HEADERS}(?P<q>\\*[\"'])?\s{{0,8}}[:=,]\s{{0,8}}b?)"
            rf"(?P<value>(?P<open>\\*[\"'])(?:(?!(?P=open)).){{1,1024}}(?:(?P=open)|$))",
            _I | re.MULTILINE,
        ),
        lambda match: None
        if not match["value"].strip("\\'\" ") or _PLACEHOLDER.fullmatch(match["value"].strip("\\'\" "))
        else f"{match['keep']}{match['open']}{MASK}{match['open']}",
    ),
    Rule(
        "a header with a secret",
        _HEADER_HINTS,
        re.compile(rf"(?P<keep>(?<![\w-]){HEADERS}:[ \t]{{0,8}})(?P<value>[^\s\"'\\][^\r\n\"'\\]{{0,1024}})", _I),
        _header_value,
    ),
    Rule(
        "a bearer token",
        ("bearer", "basic", "token", "apikey"),
        re.compile(
            r"(?P<keep>(?<![\w-])(?P<scheme>Bearer|Basic|Token|ApiKey)(?:\s|%20|\+){1,4})"
            r"(?P<value>[\w.~+/=-]{8,4096})", _I
        ),
        _scheme_value,
    ),
    Rule("a token", ("eyj",), re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?"), MASK),
    Rule(
        "a key by its form",
        ("akia", "asia", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xox", "aiza", "sk-", "sk_l", "npm_",
         "pypi-"),
        re.compile(
            r"(?<![\w-])(?:(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pos]_\w{20,}"
            r"|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}"
            r"|AIza[\w-]{30,}|sk-[\w-]{20,}|sk_live_\w{16,}|npm_\w{30,}|pypi-[\w-]{30,})"
        ),
        MASK,
    ),
    Rule(
        "IDENTIFIED BY",
        ("identified",),
        re.compile(
            rf"(?P<keep>\bIDENTIFIED\b(?:\s+WITH\s+\w+)?\s+(?:BY|HASH|WITH\s+\w+)\s+(?:HASH\s+)?)"
            rf"(?P<value>{_BODY}|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|[^\s'\",;)*]+)",
            _I | re.DOTALL,
        ),
        lambda match: None if MASK in match["value"][:8] else f"{match['keep']}'{MASK}'",
    ),
    # "password": "x", 'token': 'x', password='x', password => "x", and their escaped forms inside a JSON string.
    Rule(
        "a password or key by its name",
        _WORD_HINTS,
        re.compile(rf"(?P<keep>{WORDS}{TAIL}\\*[\"'`]?\s{{0,8}}(?:=>|[:=])\s{{0,8}}[bru]?)(?P<value>{_BODY})", _I),
        _masked_value,
    ),
    # A quote that nobody closed.
    Rule(
        "a password or key by its name",
        _WORD_HINTS,
        re.compile(
            rf"(?P<keep>{WORDS}{TAIL}\s{{0,8}}(?:=>|[:=])\s{{0,8}}\\*[\"'])"
            rf"(?P<value>(?!\*\*\*|[\"',;)\]}}]|\s*$)[^\r\n\"']{{1,1024}})$",
            _I | re.MULTILINE,
        ),
        rf"\g<keep>{MASK}",
    ),
    Rule(
        "a password or key by its name",
        (*_WORD_HINTS, "_pass", "_pw", "_key", "_auth", "_dsn", "pass=", "pw=", "auth=", "dsn="),
        re.compile(
            r"(?P<keep>(?:PASS|PASSWORD|PASSWD|PWD|PW|SECRET|TOKEN|KEY|AUTH|DSN|_PASS|_PW|_KEY|_AUTH|_DSN)"
            r"(?:_\d{1,2})?=)"
            r"(?P<value>[^\s\"'][^\r\n]{0,1024})$",
            re.MULTILINE,
        ),
        _whole_line_value,
    ),
    # --password x, --password 'x y', password=x, ?token=x&...
    Rule(
        "a password or key by its name",
        _WORD_HINTS,
        re.compile(
            rf"(?P<keep>(?:(?<=-)|(?<=[\w-])){WORDS}{TAIL}[ \t]{{1,4}})(?<=\s)(?P<value>{_BODY}|[^\s\"'-][^\s\"']*)", _I
        ),
        lambda match: _masked_value(match)
        if re.search(r"(?:^|[\s\"'\[(,])--?[\w-]{0,60}$", match.string[max(0, match.start() - 64) : match.start()])
        else None,
    ),
    Rule(
        "a password or key by its name",
        _WORD_HINTS,
        re.compile(rf"(?P<keep>{WORDS}{TAIL}=)(?P<value>(?!\*\*\*)[^\s&;,'\"\\)\]}}<>]{{1,4096}})", _I),
        _masked_value,
    ),
    # A list of words: ['mysql', '--password', 'x y'].
    Rule(
        "a password or key by its name",
        _WORD_HINTS,
        re.compile(rf"(?P<keep>{WORDS}\\*[\"']\s{{0,4}},\s{{0,4}})(?P<value>{_BODY})", _I),
        lambda match: _masked_value(match)
        if re.search(r"--?[\w-]{0,60}$", match.string[max(0, match.start() - 64) : match.start()])
        else None,
    ),
    Rule(
        "a password or key by its name",
        _WORD_HINTS,
        re.compile(rf"(?P<keep>{WORDS}{TAIL}:\s{{0,4}})(?P<value>[^\s\"',;)\]}}<>]{{6,4096}})", _I),
        _colon_value,
    ),
    # SQL: PASSWORD 'x', and requests' auth=('user', 'x').
    Rule(
        "a password or key by its name",
        ("password", "passphrase"),
        re.compile(rf"(?P<keep>\b(?:password|passphrase)\s{{1,4}})(?P<value>{_BODY})", _I),
        _masked_value,
    ),
    Rule(
        "a password or key by its name",
        ("auth",),
        re.compile(rf"(?P<keep>\bauth\\*[\"']?\s{{0,4}}[:=]\s{{0,4}}[\[(]\s{{0,4}}\\*[\"']"
            rf"[^\"'\r\n]{{0,200}}\\*[\"'],\s{{0,4}})"
        rf"(?P<value>{_BODY})", _I),
        _masked_value,
    ),
    Rule(
        "a key in a query string",
        ("key=", "sig=", "signature=", "auth=", "pass=", "pw=", "sign=", "hmac=", "credential=", "jwt=", "session="),
        re.compile(
            r"(?P<keep>(?<=[?&;])[\w.%-]{0,64}?(?:key|sig|signature|auth|pass|pw|sign|hmac|credential|jwt|session)=)"
            r"(?P<value>(?!\*\*\*)[^\s&#'\"<>\\)\]}]{6,4096})",
            _I,
        ),
        _masked_value,
        back=re.compile(r"[\w.%-]{0,63}"),
    ),
    Rule(
        "a password on a command line",
        ("-p",),
        re.compile(r"(?P<keep>(?<![\w-])-p[ \t]{0,4})"
        r"(?P<value>'[^'\r\n]*'|\"(?:\\.|[^\"\\\r\n])*\"|(?![-=])[^\s\"']+)"),
        _option_p,
    ),
    Rule(
        "a password on a command line",
        ("curl", "wget", "http "),
        re.compile(r"(?P<keep>\b(?:curl|wget|https?)\b[^\r\n]{0,400}?\s(?:-u|--user|-a)[ =]?['\"]?[^\s:'\"]{1,100}:)"
        r"(?P<value>(?!\*\*\*)[^\s'\"]{1,200})"),
        rf"\g<keep>{MASK}",
    ),
    Rule(
        "an e-mail address",
        ("@", "%40"),
        re.compile(r"[\w.+%-]{1,64}?(?:@|%40)(?:[\w-]{1,63}\.){1,8}[a-zA-Zа-яёА-ЯЁ]{2,24}(?![\w-])"),
        _email,
        back=re.compile(r"[\w.+%-]{1,64}"),
    ),
    Rule(
        "a person's data by its name",
        ("surname", "middlename", "middle_name", "lastname", "last_name", "firstname", "first_name", "phone",
         "email", "e-mail", "e_mail",
         "barcode", "patronymic", "passport"),
        re.compile(
            rf"(?P<keep>(?:surname|middle_?name|last_?name|first_?name|phone(?:_?number)?|e[-_]?mail|barcode"
            rf"|patronymic|passport)"
            rf"\\*[\"']?\s{{0,4}}[:=]\s{{0,4}})(?P<value>{_BODY})",
            _I,
        ),
        lambda match: None
        if not match["value"].strip("\\'\" ") or match["value"].strip("\\'\"").startswith("<")
        else f"{match['keep']}{match['q'] or match['r']}<personal>{match['q'] or match['r']}",
    ),
)  # fmt: skip

HINTS = tuple(dict.fromkeys(hint for rule in RULES for hint in rule.hints))

# --- figures: phones and bank cards, and nothing that only counts -----------------------------------------------------

# A first character to look for, and only then what is before it: so the search skips what cannot begin one.
_PHONE = re.compile(
    r"[+(78](?<![\w.,:+-].)(?:"
    # +7 (916) 123-45-67, +49 30 1234567; a line of a diff that begins with a date is none.
    r"(?<=\+)(?!\d{4}-\d\d-\d\d)[1-9](?:[ ().-]{0,2}\d){9,14}"
    # 8 (916) 123-45-67, 8-916-123-45-67, (495) 123-45-67
    r"|(?<=[78])[ -]?\(\d{3,5}\)[ -]?\d{2,3}[ -]\d{2}[ -]?\d{2}"
    r"|(?<=\()\d{3,5}\)[ -]?\d{2,3}[ -]\d{2}[ -]?\d{2}"
    r"|(?<=[78])-\d{3}-\d{3}-\d{2}-?\d{2}"
    r"|(?<=[78]) 9\d\d \d{3}[ -]\d\d[ -]\d\d"
    # Bare: a mobile phone's in quotes of its own.
    r"|(?<=['\"][78])9\d{9}(?=\\?['\"])"
    r")(?![\w+]|[.,-]?\d)"
)
_NAMED_PHONE = re.compile(
    r"(\b(?:phone|mobile|tel|call|sms|whatsapp|msisdn|телефон\w*|тел|номер|звон\w*)\b"
    r"[\w .:=№\"'\\]{0,12}?(?<!\d))(\+?\d{10,15})(?!\d)",
    _I,
)
_NAMED_PHONE_HINTS = ("phone", "mobile", "tel", "call", "sms", "whatsapp", "msisdn", "тел", "номер", "звон")
_CARD = re.compile(
    # Sixteen digits, of Visa, Mastercard, Mir, Discover, UnionPay, JCB, Maestro; fifteen of American Express.
    r"[2-6](?<![\w.,+-].)(?:"
    r"(?:(?<=4)\d{3}|(?<=5)[0-8]\d\d|(?<=2)[2-7]\d\d|(?<=6)\d{3}|(?<=3)5\d\d)([ -]?)\d{4}\1\d{4}\1\d{4}(?:[ -]\d{3})?"
    r"|(?<=3)[47]\d\d([ -]?)\d{6}\2\d{5}"
    r")(?!\w|[.,-]?\d)"
)


# `order_id=…`: one in ten numbers of sixteen digits passes the check, and this one says what it is.
_COUNTING_NAME = re.compile(
    r"(?:id|ids|ver|version|rows?|count|bytes|time|timestamp|ts|offset|hash|seq|number|size)[\"'`\\]*\s?[=:]\s?[\"']?$",
    _I,
)


def _passes_luhn(number: str) -> bool:
    digits = [int(char) for char in number if char.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _card(match: re.Match[str]) -> str:
    counts = _COUNTING_NAME.search(match.string[max(0, match.start() - 24) : match.start()])
    return match[0] if counts or not _passes_luhn(match[0]) else "<card>"


def _phone(match: re.Match[str]) -> str:
    return "<phone>" if sum(char.isdigit() for char in match[0]) >= 10 else match[0]


def mask_figures(text: str, lower: str, found: set[str] | None = None) -> str:
    """Phones and cards; in a text without ten digits there are none."""
    for kind, pattern, replace in (
        ("a bank card's number", _CARD, _card),
        ("a phone number", _PHONE, _phone),
    ):
        masked = pattern.sub(replace, text)
        if found is not None and masked != text:
            found.add(kind)
        text = masked
    if any(hint in lower for hint in _NAMED_PHONE_HINTS):
        masked = _NAMED_PHONE.sub(r"\1<phone>", text)
        if found is not None and masked != text:
            found.add("a phone number")
        text = masked
    return text
