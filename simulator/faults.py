"""Fault rules: which answers go wrong, how, and for how long."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any

KINDS = (
    "status", "html", "broken_json", "reset", "slow", "drop_field", "set_field", "ignore_filter", "unstable_order",
    "empty", "repeat_page", "truncate",
)  # fmt: skip
WHOLE_ANSWER = frozenset({"status", "html", "broken_json", "reset"})
_ENVELOPE = "$."


class FaultError(ValueError):
    """A rule that cannot be understood; the text says which and why."""


@dataclasses.dataclass
class Rule:
    """One fault rule.

    :param fault: one of ``KINDS``
    :param path: regular expression for the whole path below the base, such as ``/orders`` or ``/shows/\\d+/seats``
    :param times: number of requests that it spoils before it heals; None means for good
    :param after: number of matching requests that pass first
    :param every: spoil only each k-th matching request (the first of each k)
    :param status: HTTP status of ``status``
    :param retry_after: value of the ``Retry-After`` header (seconds or an HTTP date)
    :param seconds: delay of ``slow``
    :param drip: ``slow`` sends the head at once and the body in small pieces
    :param field: dotted path into a record, through lists (``baskets.price``); ``$.`` in front means the answer itself
    :param value: what ``set_field`` puts there
    :param records: how many records are spoiled, always the same ones (``drop_field``, ``set_field``; None means all),
        or how many are left on a page (``truncate``; None means half)
    :param column: the only filter that ``ignore_filter`` ignores; None means all
    :param page: the page that ``repeat_page`` serves again for each later one; None means the last one
    """

    fault: str
    path: str = ".*"
    times: int | None = None
    after: int = 0
    every: int = 1
    status: int = 500
    retry_after: int | str | None = None
    seconds: float = 5.0
    drip: bool = False
    field: str = ""
    value: Any = None
    records: int | None = None
    column: str | None = None
    page: int | None = None
    seen: int = dataclasses.field(default=0, init=False)
    spoiled: int = dataclasses.field(default=0, init=False)
    _marked: set[object] = dataclasses.field(default_factory=set, init=False)

    @classmethod
    def parse(cls, raw: object) -> Rule:
        """:raises FaultError: unknown key or fault, or a value of another type"""
        if not isinstance(raw, dict):
            raise FaultError(f"a fault rule is a JSON object, found {raw!r}")
        known = {f.name for f in dataclasses.fields(cls) if f.init}
        if set(raw) - known:
            raise FaultError(f"unknown keys {sorted(set(raw) - known)} in a fault rule; known: {sorted(known)}")
        if raw.get("fault") not in KINDS:
            raise FaultError(f"unknown fault {raw.get('fault')!r}; known: {', '.join(KINDS)}")
        rule = cls(**raw)
        try:
            re.compile(rule.path)
        except (re.error, TypeError) as error:
            raise FaultError(f"path {rule.path!r} is not a regular expression: {error}") from error
        for name, least in (("times", 1), ("after", 0), ("every", 1), ("status", 200), ("records", 0), ("page", 1)):
            number = getattr(rule, name)
            if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < least):
                raise FaultError(f"{name} must be an integer of at least {least}, found {number!r}")
        if isinstance(rule.seconds, bool) or not isinstance(rule.seconds, int | float) or rule.seconds < 0:
            raise FaultError(f"seconds must be a number of at least 0, found {rule.seconds!r}")
        if rule.fault in ("drop_field", "set_field") and not (isinstance(rule.field, str) and rule.field):
            raise FaultError(f"{rule.fault} needs a field")
        return rule

    def fires(self, path: str) -> bool:
        """Count a request and say whether it is to be spoiled."""
        if not re.fullmatch(self.path, path):
            return False
        self.seen += 1
        turn = self.seen - self.after - 1
        if turn < 0 or turn % self.every or (self.times is not None and self.spoiled >= self.times):
            return False
        self.spoiled += 1
        return True

    def spoil(self, answer: dict[str, Any]) -> None:
        """Apply ``drop_field`` or ``set_field`` to a decoded answer, in place."""
        if self.field.startswith(_ENVELOPE):
            self._change(answer, self.field.removeprefix(_ENVELOPE).split("."))
            return
        for key, record in _records(answer.get("data")):
            if self.records is not None and key not in self._marked:
                if len(self._marked) >= self.records:
                    continue
                self._marked.add(key)
            self._change(record, self.field.split("."))

    def _change(self, target: Any, path: list[str]) -> None:
        if isinstance(target, list):
            for item in target:
                self._change(item, path)
        elif isinstance(target, dict):
            if len(path) > 1:
                self._change(target.get(path[0]), path[1:])
            elif self.fault == "drop_field":
                target.pop(path[0], None)
            else:
                target[path[0]] = copy.deepcopy(self.value)


def _records(data: Any) -> Iterator[tuple[object, dict[str, Any]]]:
    """The records of an answer with what identifies them: a list, one object, flat seats or seats by zone."""
    if isinstance(data, list):
        for index, record in enumerate(data):
            yield record.get("id", index), record
    elif isinstance(data, dict) and data and all(isinstance(v, dict) and "seats" in v for v in data.values()):
        for zone in data.values():
            yield from zone["seats"].items()
    elif isinstance(data, dict) and data and all(isinstance(v, dict) for v in data.values()):
        yield from data.items()
    elif isinstance(data, dict):
        yield data.get("id"), data


def parse_rules(text_or_list: str | list[Any]) -> list[Rule]:
    """Rules from JSON text or a decoded list.

    :raises FaultError: not a JSON list of valid rules
    """
    raw: Any = text_or_list
    if isinstance(raw, str):
        try:
            raw = json.loads(raw or "[]")
        except ValueError as error:
            raise FaultError(f"the fault rules are not JSON: {error}") from error
    if not isinstance(raw, list):
        raise FaultError(f"the fault rules are a JSON list, found {type(raw).__name__}")
    return [Rule.parse(item) for item in raw]
