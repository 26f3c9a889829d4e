"""JSON parsers whose result is looked at where it is an answer's: what they have parsed is not parsed again.

Only a saving. An answer that another parser reads, or another thread, is counted from its bytes (see `bodies`).
"""

from . import exchanges
from .answers import told_by
from .guard import quiet
from .imports import wrap


@quiet
def _look(text, answer):
    body = exchanges.waiting_here()
    if body is None or not isinstance(text, (str, bytes, bytearray, memoryview)):
        return
    # Another text may be parsed before the answer is, a file of settings for one.
    if _may_be(text, body.length()):
        exchanges.tell(body, told_by(answer))


def _may_be(text, length):
    if isinstance(text, str) and not text.isascii():
        return len(text) < length <= 4 * len(text)
    return len(text) <= length <= len(text) + 3


def _loading(original):
    def loads(*args, **kwargs):
        answer = original(*args, **kwargs)
        if exchanges.waiting() and args and isinstance(answer, (dict, list)):
            _look(args[0], answer)
        return answer

    return loads


def _parser(module):
    wrap(module, "loads", _loading)


HOOKS = {"json": _parser, "orjson": _parser, "ujson": _parser, "simplejson": _parser, "rapidjson": _parser}
