"""How tracebacks and stacks look, in Python and in other languages."""

from __future__ import annotations

import re

_TYPE = r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*"
TYPE_TAIL = r"(?:Error|Exception|Warning|Interrupt|Exit|Timeout|Refused|Group|NotFound|Failure|Iteration|Mismatch)"
EXCEPTION_LINE = re.compile(rf"^({_TYPE})(?:: ?(.*))?$")
TRACEBACK = "Traceback (most recent call last)"
# Where one begins: the words end the line, but for rich's frame, or the rest is escaped into it. Data may hold them.
OPENS = re.compile(re.escape(TRACEBACK) + r"(?::\s*$|:\s*(?:\\+[rn]|File)|\s*─)")
FRAME = re.compile(r"File \"(?P<file>[^\"]+)\", line (?P<line>\d+)(?:, in (?P<function>.+))?")
RICH_FRAME = re.compile(r"^\s*(?P<file>[^\s:]+\.py):(?P<line>\d+) in (?P<function>\S+)")
RICH_CODE = re.compile(r"^\s*❱\s*\d+\s*(?:│\s*)?(?P<code>.*?)\s*$")
# Exception groups draw a tree in front of their lines.
GUTTER = re.compile(r"^\s*(?:\| ?|\+ (?=Exception Group)|\+-\+?-+(?: \d+ -+)?$)")
GUTTER_RULE = re.compile(r"\+?-[+-]*-(?: \d+ -+)?$")
CHAINED = ("During handling of the above exception", "The above exception was the direct cause")
# Frames of other languages: JVM (with the jar behind it), .NET, Node and Rust (`at ...`), Go, PHP, Ruby.
AT_FRAME = re.compile(
    r"^\s+at (?:(?:async |new )*(?P<function>[^()]*?) ?\(?)?"
    r"(?P<file>(?:file://|[A-Za-z]:(?=[\\/]))?[^\s():]+\.\w+):(?P<line>\d+)(?::\d+)?\)?(?: ~?\[[^\]]*\])?(?: \{)?$"
    r"|^\s+at (?P<net>.+?) in (?P<net_file>.+):line (?P<net_line>\d+)$"
)
STACK_LINE = re.compile(
    r"^\s+at \S|^Caused by: |^\s*\.\.\. \d+ (?:more|common)|^goroutine \d+ |^\s+/\S+\.go:\d+"
    r"|^ *---> \S|^ +--- End of "
)
GO_FUNCTION = re.compile(r"^[\w./*-]*\w\.[\w.()*\[\]]+$")
GO_FRAME = re.compile(r"^\s+(?P<file>/\S+\.go):(?P<line>\d+)")
# Frames of a Go program that prints its own: each a line of its own, its messages behind `~`, the cause last.
GO_MARKER = re.compile(r"^--- \S+\.go:\d+ \S+ ---$")
PREFIXED_STACK = re.compile(r"^(?P<head>\S.{0,160}?)(?:\tat \S|\s{2,}at \S|Caused by: |\s*\.\.\. \d+ (?:more|common))")
# A frame of PHP's stack, which loggers print on a line of its own.
PHP_FRAME = re.compile(r"#\d+ (?:\S+\(\d+\): |\{main\}|\[internal function\])")
_TYPE_AND_TEXT = rf"({_TYPE})(?: \(0x[0-9A-Fa-f]+\))?(?:: (.*))?$"
CAUSED_BY = re.compile(rf"^Caused by: {_TYPE_AND_TEXT}|^ *---> {_TYPE_AND_TEXT}|^\s*\[?cause\]?: {_TYPE_AND_TEXT}")
FOREIGN_HEAD = re.compile(
    rf"(?:Exception in thread \"[^\"]*\" |Unhandled exception\. |Uncaught |^)((?:[A-Za-z_]\w*\.)*\w*?{TYPE_TAIL}\w*)"
    r"(?: \(0x[0-9A-Fa-f]+\))?(?::\s*(.*))?$"
)
# The exception itself on a line of its own below the record that reports it (JVM, .NET).
QUALIFIED = re.compile(rf"^\s*(?:[A-Za-z_][\w$]*\.)+[A-Z][\w$]*{TYPE_TAIL}\w*(?: \(0x[0-9A-Fa-f]+\))?(?::|$)")
JS_STACK = re.compile(r"\n\s+at \S")
# Node names the place that threw above the code there, a few lines before the exception.
THROWN = re.compile(r"^(?:file://)?/\S*?/node_modules/((?:@[^/]+/)?[^/]+)/\S+:\d+$")
GO_STACK = re.compile(r"\n\s+/\S+\.go:\d+")
# Errors that name their place within the line itself.
RUST_PANIC = re.compile(
    r"thread '[^']*'(?: \(\d+\))? panicked at (?:'(?P<message>.*)', )?(?P<file>\S+?\.rs):(?P<line>\d+)(?::\d+)?:?$"
)
PLACED = (
    re.compile(
        r"^(?P<file>\S+\.rb):(?P<line>\d+):in [`'](?P<function>.+?)': (?P<message>.*) \((?P<type>[A-Z][\w:]+)\)$"
    ),
    re.compile(
        r"(?:Uncaught )?(?<![\w\\])(?P<type>[A-Z][\w\\]*(?:Error|Exception)): (?P<message>.*) "
        r"in (?P<file>\S+\.php):(?P<line>\d+)"
    ),
    re.compile(r"^(?P<file>\S+): line (?P<line>\d+): (?P<message>\S.*)$"),
)
