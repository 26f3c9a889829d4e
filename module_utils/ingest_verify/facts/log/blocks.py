"""The lines that belong to one error while they are being read, and the error that they come down to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...masking import mask
from .errors import (
    DEFECTS,
    PACKAGE,
    ClientError,
    Raised,
    http_status,
    own_frame,
    raised_in,
    server_code,
    typed_message,
)
from .stack_words import TRACEBACK

MAX_TEXT = 4000
# A traceback of a runaway recursion has a thousand frames; message lines of an exception may carry a whole statement.
MAX_BLOCK_LINES = 400
MAX_MESSAGE_LINES = 60


@dataclass
class Block:
    """Lines that belong to one error while they are being read.

    `state`: `plain` for a message, `frames` and `after` for a traceback and what follows its exception, `chained`
    between two tracebacks, `stack` for other languages, `rust` for a panic, `causes` for a list of causes. `head` is
    what a logger repeats before each line, digits as #. `at` is the part that takes the frames, `braces` how deep in
    the properties that Node prints behind a stack, `code` a server's code that a JSON log carries as data. `announces`:
    the first line only says that something follows.
    """

    when: str | None
    lines: list[str] = field(default_factory=list)
    message: str | None = None
    type: str | None = None
    parts: list[Raised] = field(default_factory=list)
    state: str = "plain"
    at: int = -1
    braces: int = 0
    code: int | None = None
    column: int = 0
    head: str = ""
    rich: bool = False
    go: bool = False
    warning: bool = False
    weak: bool = False
    level: int | None = None
    end: int = 0
    blanks: int = 0
    gap: bool = False
    announces: bool = False


def report_before(block: Block, parts: list[Raised]) -> Block | None:
    """The record right above a traceback that is about something else, taken out of the block: it carries a status or a
    server's code, and the traceback, a defect of the code, does not."""
    if block.state != "after" or not block.message or TRACEBACK in block.lines[0] or not parts:
        return None
    if (parts[0].type or "").rpartition(".")[2] not in DEFECTS:
        return None
    head, *rest = block.lines
    below = "\n".join(rest)
    if (http_status(head), server_code(head)) == (http_status(below), server_code(below)):
        return None
    if not (http_status(head) or server_code(head)):
        return None
    block.lines = rest
    head_type = typed_message(block.message)[0]
    return Block(block.when, [head], block.message, head_type, weak=block.weak, level=block.level, end=block.end)


def parts_of(block: Block) -> list[Raised]:
    """The block's exceptions, where it began first."""
    parts = [part for part in block.parts if part.type or part.frames or any(part.message)]
    if block.state == "stack":
        # JVM style prints the outcome first and its origin last.
        parts.reverse()
    elif len(parts) > 1 and (parts[0].type or "").endswith("Group"):
        # A group stands before its members, which are where it began.
        parts = [*parts[1:], parts[0]]
    return parts


def outcome_of(block: Block, parts: list[Raised]) -> tuple[str | None, str, list[tuple[str, str]]]:
    """(type, message, chain) of what came out."""
    chain = [(part.type or "", "\n".join(part.message).strip()) for part in parts]
    if not chain:
        message = block.message or ""
        kind, rest = typed_message(message)
        return kind, message, [(kind, rest)] if kind else []
    if not chain[-1][0]:
        return block.type, block.message or chain[-1][1], chain
    return chain[-1][0], chain[-1][1], chain


def error_of(
    block: Block, parts: list[Raised], kind: str | None, message: str, chain: list[tuple[str, str]]
) -> ClientError:
    """What a finished block comes down to; secrets and personal data are masked."""
    frame = own_frame([part.frames for part in parts])
    packages = [match for part in parts for item in part.frames if (match := PACKAGE.search(item.file))]
    whole = "\n".join(block.lines) + "\n" + message
    if frame is not None and frame.code:
        frame.code = mask(frame.code)
    return ClientError(
        type=kind,
        message=mask(message).strip()[:MAX_TEXT],
        frame=frame,
        first=block.when,
        last=block.when,
        chain=[(name, mask(text)[:MAX_TEXT]) for name, text in chain],
        text=_trim(mask("\n".join(block.lines).rstrip())),
        server_code=block.code or server_code(whole),
        http_status=http_status(whole),
        libraries=list(dict.fromkeys(match[1] or match[2] for match in packages)),
        traceback=any(part.frames for part in parts),
        weak=block.weak,
        level=block.level,
        raised_in=raised_in(parts),
    )


def _trim(text: str) -> str:
    if len(text) <= MAX_TEXT:
        return text
    return text[: MAX_TEXT // 3] + "\n... cut ...\n" + text[-MAX_TEXT * 2 // 3 :]


def group_key(message: str) -> str:
    """What makes two messages the same error: their text without the numbers that change."""
    # What may be a key (1, 'event_id') is told apart exactly, other numbers are ids that change from line to line.
    head, colon, tail = message.rpartition(": ")
    if not re.fullmatch(r"-?\d{1,3}|['\"].{1,40}['\"]", tail):
        head, colon, tail = message, "", ""
    return re.sub(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|\d+", "#", head)[:500] + colon + tail
