"""Error codes of the server by what they mean; a code never changes its number (`src/Common/ErrorCodes.cpp`)."""

from __future__ import annotations

import re

# The server noticed that its client went away, or cancelled on request: the cause lies before it.
# 32 ATTEMPT_TO_READ_AFTER_EOF, 33 CANNOT_READ_ALL_DATA, 99 UNKNOWN_PACKET_FROM_CLIENT,
# 101 UNEXPECTED_PACKET_FROM_CLIENT, 209 SOCKET_TIMEOUT, 210 NETWORK_ERROR, 236 ABORTED, 394 QUERY_WAS_CANCELLED,
# 735 QUERY_WAS_CANCELLED_BY_CLIENT
ABORT_CODES = frozenset({32, 33, 99, 101, 209, 210, 236, 394, 735})
# The same before the statement was parsed (3 UNEXPECTED_END_OF_FILE); 209 and 210 there are any idle connection's end.
UNLOGGED_ABORT_CODES = frozenset({3, 32, 33})
# Another try of the same data can help: the server's state, not the data, was in the way.
_TRANSIENT_CODES = frozenset({
    3, 159, 160, 198, 201, 202, 203, 209, 210, 225, 236, 241, 242, 243, 252, 254, 279, 285, 286, 319, 364, 394, 415,
    425, 439, 473, 574, 659, 700, 733, 735, 745, 749, 762, 776, 999,
})  # fmt: skip
# Decided before any data was looked at: the same data can pass once the object is there.
_BEFORE_DATA_CODES = frozenset({
    8, 10, 16, 20, 46, 47, 50, 56, 60, 62, 81, 115, 164, 192, 193, 194, 195, 218, 497, 516,
})  # fmt: skip


def is_recoverable(code: int) -> bool:
    """Whether the same data can pass at a later try: then a later success means that it did."""
    return code in _TRANSIENT_CODES or code in _BEFORE_DATA_CODES


# A right or a limit is the user's or the server's wherever it is met: no correction of a view helps against these.
# 159 TIMEOUT_EXCEEDED, 160 TOO_SLOW, 164 READONLY, 201 QUOTA_EXCEEDED, 202 TOO_MANY_SIMULTANEOUS_QUERIES,
# 209 SOCKET_TIMEOUT, 241 MEMORY_LIMIT_EXCEEDED, 243 NOT_ENOUGH_SPACE, 497 ACCESS_DENIED
NOT_THE_VIEWS = frozenset({159, 160, 164, 201, 202, 209, 241, 243, 497})
MISSING_TABLE = {60, 218, 390}
MISSING_DATABASE = {81}
# What a statement would make is there already (15 DUPLICATE_COLUMN), and what it names is not.
EXISTS_CODES = frozenset({15, 57, 82})
MISSING_CODES = frozenset(MISSING_TABLE | MISSING_DATABASE)
MISSING_COLUMN = {8, 10, 16, 47}
COLUMN_COUNT = {7, 20, 122}
TYPE_CODES = {
    6, 25, 26, 27, 38, 41, 44, 53, 69, 70, 72, 117, 130, 131, 169, 190, 321, 349, 376, 386, 407, 441, 467, 632, 675,
    676, 691, 728,
}  # fmt: skip
TYPE_NAMES = re.compile(
    r"CANNOT_PARSE_|CANNOT_CONVERT_TYPE|TYPE_MISMATCH|INCORRECT_DATA|CANNOT_INSERT_NULL|VALUE_IS_OUT_OF_RANGE|TOO_LARGE_STRING_SIZE"
    r"|UNKNOWN_ELEMENT_OF_ENUM|DECIMAL_OVERFLOW|ARGUMENT_OUT_OF_BOUND|CANNOT_READ_ARRAY|CANNOT_READ_MAP|INVALID_DATE|NO_COMMON_TYPE"
    r"|SIZES_OF_ARRAYS|BAD_TYPE_OF_FIELD|ILLEGAL_COLUMN|CANNOT_PARSE$|UNEXPECTED_DATA_AFTER_PARSED_VALUE|TOO_LARGE_SIZE_COMPRESSED"
)


def code_in(text: str) -> int:
    """The code that an exception's text begins with (`Code: 60. ...`), 0 without one."""
    found = re.search(r"Code: (\d+)", text)
    return int(found.group(1)) if found else 0
