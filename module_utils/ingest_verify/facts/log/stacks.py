"""Stacks of other languages, line by line: JVM, .NET, Node, Go, PHP, Ruby, and a panic of Rust."""

from __future__ import annotations

import re

from .blocks import MAX_MESSAGE_LINES, MAX_TEXT, Block
from .errors import Frame, Raised, typed_message
from .line import is_record, level_of
from .stack_words import AT_FRAME, CAUSED_BY, FOREIGN_HEAD, GO_FRAME, GO_MARKER, STACK_LINE


def set_foreign_head(block: Block, line: str) -> None:
    """Begin an exception with the line above its stack."""
    # JavaScript's plain `Error: text` would else be read as a level.
    match = FOREIGN_HEAD.search(line.strip()[:MAX_TEXT])
    message = level_of(line)[1].strip()
    match = match or FOREIGN_HEAD.search(message[:MAX_TEXT])
    block.parts.append(Raised(type=match[1] if match else None, message=[(match[2] or "") if match else message]))


def continue_stack(block: Block, text: str) -> bool:
    """Take a line into a stack, or say that it belongs to the next record."""
    block.state = "stack"
    block.go |= text.startswith("goroutine ")
    inside = block.braces > 0
    if inside or text.rstrip().endswith("{"):
        # Node prints an error's own properties behind its stack: the server's code, the cause.
        block.braces = max(0, block.braces + text.count("{") - text.count("}"))
    if match := AT_FRAME.match(text):
        file, line = match["file"] or match["net_file"], match["line"] or match["net_line"]
        # These languages print the innermost frame first, Python prints it last.
        frame = Frame(file, int(line), (match["function"] or match["net"] or "").strip())
        block.parts[block.at].frames.insert(0, frame)
    elif match := GO_FRAME.match(text):
        function = re.sub(r"\(.*\)$", "", block.lines[-1].strip())
        block.parts[block.at].frames.insert(0, Frame(match["file"], int(match["line"]), function))
    elif match := CAUSED_BY.match(text):
        kind = next(filter(None, match.groups()[::2]))
        block.parts.append(Raised(type=kind, message=[next(filter(None, match.groups()[1::2]), "")]))
        block.at = len(block.parts) - 1
    elif text.lstrip().startswith("--- End of inner"):
        # .NET: what follows are the frames of the exception around it.
        block.at = max(0, block.at - 1)
    elif text.strip():
        if not inside and not STACK_LINE.match(text) and not (block.go and not is_record(text)):
            return False
    else:
        block.blanks += 1
        if block.blanks > 2:
            return False
    block.lines.append(text)
    return True


def continue_markers(block: Block, text: str) -> bool:
    """Take in the frames that a Go program prints as `--- file.go:12 function ---`, with its messages between them."""
    bare = text.strip()
    if is_record(text) or len(block.lines) > MAX_MESSAGE_LINES * 2:
        return False
    if block.state != "markers":
        block.state, block.message = "markers", ""
    if bare and not GO_MARKER.match(text) and not re.fullmatch(r"-{3,}.*-{3,}", bare):
        block.lines.append(text)
        said = bare.removeprefix("~ ")
        block.message = f"{said}: {block.message}" if block.message else said
        block.type, _ = typed_message(block.message)
    return True


def continue_told(block: Block, text: str) -> bool:
    """The lines below a Rust panic (its message, then a backtrace), and an error's list of causes."""
    bare = text.strip()
    if is_record(text) or not bare or len(block.lines) > MAX_MESSAGE_LINES:
        block.blanks += not bare
        return not bare and block.blanks < 2
    block.lines.append(text)
    if block.state == "causes":
        block.message = f"{block.message}: {re.sub(r'^[0-9]+: ', '', bare)}"
        return text[0].isspace()
    part = block.parts[0]
    if match := AT_FRAME.match(text):
        # The backtrace goes outwards from the panic, whose own place is known already.
        part.frames.insert(0, Frame(match["file"] or "", int(match["line"] or 0), block.lines[-2].strip()))
    elif not re.match(r"note: |stack backtrace:|\s+\d+: ", text):
        part.message = [" ".join(filter(None, [*part.message, bare]))]
    return True
