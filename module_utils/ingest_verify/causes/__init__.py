"""THE catalogue of causes: everything that a run can name, one object per cause.

A finding is built with an id that stands here, or not at all. `docs/reference/causes.md` is made from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .client import CLIENT
from .configuration import CONFIG
from .data import DATA
from .evidence import EVIDENCE
from .host import HOSTS
from .model import (
    CONFIGURATION,
    HOST,
    LIKELY,
    LOADER,
    LOG,
    PROVEN,
    SCHEMA,
    SERVER,
    SIDES,
    SOURCE,
    Cause,
    Decision,
    Form,
)
from .server import SERVERS
from .source import SOURCES

__all__ = [
    "CATALOGUE",
    "CONFIGURATION",
    "HOST",
    "LIKELY",
    "LOADER",
    "LOG",
    "PROVEN",
    "SCHEMA",
    "SERVER",
    "SIDES",
    "SOURCE",
    "Cause",
    "Decision",
    "Form",
    "by_id",
    "forms_of",
    "is_narrower",
    "narrowest",
]


def _registered(*groups: tuple[Cause, ...]) -> dict[str, Cause]:
    catalogue: dict[str, Cause] = {}
    for cause in (cause for group in groups for cause in group):
        if cause.id in catalogue:
            raise ValueError(f"{cause.id} stands twice in the catalogue")
        catalogue[cause.id] = cause
    for cause in catalogue.values():
        if unknown := [other for other in cause.narrower_than if other not in catalogue]:
            raise ValueError(f"{cause.id} is narrower than causes that do not exist: {', '.join(unknown)}")
    return catalogue


CATALOGUE = _registered(SERVERS, CLIENT, SOURCES, CONFIG, EVIDENCE, DATA, HOSTS)
"""Every cause by its id."""


def by_id(cause: str) -> Cause:
    """The cause of this id; raises ValueError when the catalogue has none."""
    if cause not in CATALOGUE:
        raise ValueError(f"{cause!r} is no cause of the catalogue (module_utils/ingest_verify/causes)")
    return CATALOGUE[cause]


def is_narrower(cause: str, other: str) -> bool:
    """Whether `cause` says more of the same facts than `other`, by what the catalogue declares, step by step."""
    above = by_id(cause).narrower_than
    return other in above or any(is_narrower(each, other) for each in above)


def narrowest(told: list[Decision]) -> list[Decision]:
    """Those of several decisions on one fact than which no other is narrower.

    They are of one cause. Where they are of two, the catalogue lacks a declaration, and the tests fail.
    """
    return [one for one in told if not any(is_narrower(other.cause, one.cause) for other in told)]


def forms_of(kind: str, text: str) -> Iterator[tuple[Cause, Form, re.Match[str]]]:
    """The catalogue's forms that hold for a text of this kind, but for those of which a narrower cause holds too."""
    held = [
        (cause, form, found)
        for cause in CATALOGUE.values()
        for form in cause.forms
        if kind in form.kinds and (found := re.search(form.pattern, text))
    ]
    wider = {other for cause, _, _ in held for other in cause.narrower_than}
    return (one for one in held if one[0].id not in wider)
