"""Python's tracebacks, line by line, in the shapes that loggers, frames around them and exception groups give them."""

from __future__ import annotations

import re

from .blocks import MAX_BLOCK_LINES, MAX_MESSAGE_LINES, Block
from .errors import Frame, Raised
from .line import is_record, is_tail, level_of
from .stack_words import CHAINED, EXCEPTION_LINE, FRAME, GUTTER, GUTTER_RULE, OPENS, RICH_CODE, RICH_FRAME, TRACEBACK


def open_traceback(block: Block, text: str) -> None:
    """Begin a traceback with the line that announces it, which may hold all of it."""
    before, _, after = text.partition(TRACEBACK)
    if "\\n" in after:
        _open_escaped(block, before, after)
        return
    block.rich = "─" in before
    lead = re.sub(r"(?:\+ )?Exception Group $", "", before)
    if lead.strip(" |+╭─"):
        block.head = re.sub(r"\d", "#", lead)
        if not block.lines:
            block.message = level_of(lead)[1].strip() or None
    elif lead.isspace():
        # Indentation of a whole traceback, by a wrapper or a logger.
        block.column = len(lead)
    block.lines.append(text)
    block.state, block.gap = "frames", False
    block.parts.append(Raised())


def _open_escaped(block: Block, before: str, after: str) -> None:
    """A logger wrote the whole traceback into one line (logfmt, repr), its line ends as backslash n."""
    quote = before[-1:] if before[-1:] in ("'", '"') else ""
    if quote:
        after = re.split(rf"(?<!\\){quote}", after, maxsplit=1)[0]
    if not block.lines:
        block.lines.append(before.strip())
        block.message = level_of(before)[1].rstrip("'\" ")
    block.state = "chained"
    for line in _unescape(TRACEBACK + after).splitlines():
        if not continue_traceback(block, line):
            break


def _unescape(text: str) -> str:
    return text.replace("\\r", "").replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"').replace("\\'", "'")


def continue_traceback(block: Block, text: str) -> bool:
    """Take a line into a traceback, or begin one with it, or say that it belongs to the next record."""
    if len(block.lines) > MAX_BLOCK_LINES:
        return False
    if OPENS.search(text):
        if block.state in ("plain", "chained") or GUTTER.match(text):
            open_traceback(block, text)
            return True
        return False
    return _continue_frames(block, text) if block.state == "frames" else _continue_after(block, text)


def _continue_frames(block: Block, text: str) -> bool:
    part = block.parts[-1]
    content = _content(block, text)
    if match := (RICH_FRAME if block.rich else FRAME).search(content):
        part.frames.append(Frame(match["file"], int(match["line"]), (match["function"] or "<module>").strip()))
    elif block.rich and (match := RICH_CODE.match(content)):
        if part.frames:
            part.frames[-1].code = match["code"] or None
    elif not content.strip() or content.startswith((" ", "\t", ">", "└", "│", "╰", "─")):
        stripped = content.strip()
        if not block.rich and part.frames and part.frames[-1].code is None and stripped.strip("^~ "):
            part.frames[-1].code = stripped
    elif match := EXCEPTION_LINE.match(content.rstrip()):
        part.type, part.message = match[1], [match[2] or ""]
        block.state = "after"
    else:
        # Not an exception's line: the traceback was cut here (a log limit, a crash while writing it).
        return False
    block.lines.append(content)
    return True


def _continue_after(block: Block, text: str) -> bool:
    content = _content(block, text)
    stripped = content.strip()
    if stripped.startswith(CHAINED):
        block.state = "chained"
    elif not stripped or GUTTER_RULE.match(stripped):
        block.blanks += 1
        # An exception that only announces another (`... with exception:`) leaves a blank before it.
        block.gap = not (block.parts[-1].message and block.parts[-1].message[-1].endswith(":"))
        if block.blanks > 12:
            return False
    elif block.state == "after" and not block.gap and _is_message_tail(block, content):
        block.parts[-1].message.append(stripped)
    else:
        return False
    block.lines.append(content)
    return True


def _is_message_tail(block: Block, content: str) -> bool:
    part = block.parts[-1]
    if len(part.message) >= MAX_MESSAGE_LINES or is_record(content):
        return False
    if part.message[-1].endswith(":") or part.message[-1].startswith("<class '"):
        return True
    # Validation errors name a field per line, unindented.
    return content[0].isspace() or is_tail(content) or (part.type or "").endswith(("ValidationError", "Group"))


def _content(block: Block, text: str) -> str:
    """A line of a traceback without what a logger, a frame or an exception group put in front of it."""
    if block.rich:
        return re.sub(r"^[│╭╰]\s?|\s*[│╮╯]$", "", text)
    size = len(block.head)
    if size and re.sub(r"\d", "#", text[:size]) == block.head:
        return text[size:]
    while match := GUTTER.match(text):
        text = text[match.end() :]
    return text[block.column :] if text[: block.column].isspace() else text
