"""Pictures of a report as inline SVG: when what happened, and where the rows went."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from .text import duration, one_line, parse_time

_WIDTH, _LABEL, _LINE = 900, 260, 22
_MAX_LINES = 60


def timeline(events: Sequence[Mapping[str, Any]]) -> str:
    """Bars over time, a line per event, failed ones in another colour and marked; empty without two times."""
    placed: list[tuple[Mapping[str, Any], float, float]] = []
    for event in events:
        from_, to = parse_time(event.get("from")), parse_time(event.get("to"))
        if from_ is not None:
            placed.append((event, from_.timestamp(), max(from_.timestamp(), (to or from_).timestamp())))
    if len(placed) > _MAX_LINES:
        rank = {"failed": 0}
        keep = sorted(placed, key=lambda item: (item[0]["kind"] != "stage", rank.get(str(item[0]["status"]), 1)))
        chosen = {id(item[0]) for item in keep[:_MAX_LINES]}
        placed = [item for item in placed if id(item[0]) in chosen]
    if not placed:
        return ""
    first, last = min(item[1] for item in placed), max(item[2] for item in placed)
    span = max(last - first, 0.001)
    area = _WIDTH - _LABEL - 90
    lines = []
    for number, (event, begin, end) in enumerate(placed):
        x = _LABEL + (begin - first) / span * area
        width = max(2.0, (end - begin) / span * area)
        y = number * _LINE + 4
        failed = event.get("status") not in ("ok", "", None)
        kind = "failed" if failed else str(event.get("kind"))
        label = one_line(event.get("label"), 38)
        lines.append(
            f'<text class="label" x="0" y="{y + 12}">{escape(label)}</text>'
            f'<rect class="bar {escape(kind)}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_LINE - 7}" rx="2"/>'
            f'<text class="figure" x="{min(x + width + 5, _WIDTH - 82):.1f}" y="{y + 12}">'
            f"{'✕ ' if failed else ''}{escape(duration(end - begin))}</text>"
        )
    height = len(placed) * _LINE + 8
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="Timeline of {len(placed)} events over '
        f'{escape(duration(span))}" class="picture">{"".join(lines)}</svg>'
    )


# Places that rows pass, in the order of the way.
PLACES = (
    ("loader", "told"),
    ("answers", "acknowledged"),
    ("server", "written_rows"),
    ("parts", "new_part_rows"),
    ("table", "held"),
)


def rows_flow(account: Mapping[str, Any], names: Mapping[str, str], translate: Callable[[str], str] = str) -> str:
    """One table's rows on their way as boxes; what was taken between two stands under the arrow."""
    _ = translate
    box, gap, top = 130, 58, 26
    pieces = []
    previous: int | None = None
    for number, (place, key) in enumerate(PLACES):
        figure = account.get(key)
        x = number * (box + gap)
        known = isinstance(figure, int)
        lost = known and previous is not None and isinstance(figure, int) and figure < previous
        style = "unknown" if not known else "lost" if lost and key != "held" else "known"
        shown = f"{figure:,}".replace(",", "\u202f") if isinstance(figure, int) else "?"
        pieces.append(
            f'<rect class="box {style}" x="{x}" y="{top}" width="{box}" height="56" rx="6"/>'
            f'<text class="label" x="{x + box / 2}" y="{top + 20}" text-anchor="middle">'
            f"{escape(names.get(place, place))}</text>"
            f'<text class="strong" x="{x + box / 2}" y="{top + 43}" text-anchor="middle">{escape(shown)}</text>'
        )
        if number < len(PLACES) - 1:
            pieces.append(f'<path class="arrow" d="M{x + box + 6} {top + 28} h{gap - 16} m-6 -5 l6 5 l-6 5"/>')
        previous = figure if isinstance(figure, int) else previous
    taken = [entry for entry in account.get("taken") or [] if isinstance(entry, Mapping)]
    y = top + 78
    for entry in taken[:6]:
        rows = entry.get("rows")
        text = f"− {rows if rows else '?'} {entry.get('by', '')}: {one_line(entry.get('reason'), 100)}"
        pieces.append(f'<text class="figure" x="0" y="{y}">{escape(text)}</text>')
        y += 18
    width = len(PLACES) * box + (len(PLACES) - 1) * gap
    label = ", ".join(
        f"{names.get(place, place)} {account[key] if account.get(key) is not None else '?'}" for place, key in PLACES
    )
    return (
        f'<svg viewBox="0 0 {width} {y if taken else top + 64}" role="img" aria-label="{escape(label)}"'
        f' class="picture">'
        f"{''.join(pieces)}</svg>"
    )
