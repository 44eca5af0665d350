"""
Small charts as inline SVG: no script, no font, no file from elsewhere.

Colours come from the page's style sheet by class, so that a chart follows light and dark. All are
400 units wide, which a phone shows about one to one.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 400
LEFT, RIGHT, TOP, BOTTOM = 56, 8, 12, 40  # room for labels around a plot
TICKS = 5  # about as many as a scale gets
LEVELS = 8  # shades of a density; the style sheet has a class for each, level0 to level7

Format = Callable[[float], str]


@dataclass(frozen=True)
class Bar:
    """
    One bar: its label, its value (None where there is nothing to show) and what hovering says.
    """

    label: str
    value: float | None
    tip: str


def columns(title: str, description: str, bars: Sequence[Bar], x: str, y: str, show: Format) -> str:
    """
    Draw upright bars; ``x`` and ``y`` name the axes with their units. Crowded labels are thinned.
    """
    height, right, floor = 240, WIDTH - RIGHT, 240 - BOTTOM
    scale = _scale(bars)
    pitch = (right - LEFT) / len(bars)
    every = 1 if len(bars) <= 10 else 3
    parts = []
    for tick in scale:
        at = floor - (floor - TOP) * tick / scale[-1]
        parts.append(_line(LEFT, at, right, at, "grid"))
        parts.append(_text(LEFT - 5, at + 4, show(tick), "end"))
    for place, bar in enumerate(bars):
        middle = LEFT + pitch * (place + 0.5)
        if bar.value is not None:
            size = (floor - TOP) * bar.value / scale[-1]
            parts.append(_bar(middle - pitch * 0.39, floor - size, pitch * 0.78, size, bar.tip))
        if place % every == 0:
            parts.append(_text(middle, floor + 15, bar.label, "middle"))
    parts.append(_text((LEFT + right) / 2, height - 6, x, "middle", "axis"))
    parts.append(_upright(11, (TOP + floor) / 2, y))
    return _svg(title, description, height, parts)


def rows(title: str, description: str, bars: Sequence[Bar], x: str, show: Format) -> str:
    """
    Draw lying bars, one below the other, each with its value beside it; ``x`` names the axis.
    """
    left, room, step = 124, 52, 21
    height = TOP + step * len(bars) + 26
    scale = _scale(bars)
    parts = []
    for place, bar in enumerate(bars):
        top = TOP + step * place
        parts.append(_text(left - 6, top + 13, bar.label, "end"))
        if bar.value is not None:
            size = (WIDTH - left - room) * max(bar.value, 0.0) / scale[-1]
            parts.append(_bar(left, top + 2, size, step - 6, bar.tip))
            parts.append(_text(left + size + 5, top + 13, show(bar.value), "start", "value"))
    parts.append(_text(left, height - 8, x, "start", "axis"))
    return _svg(title, description, height, parts)


def density(
    title: str,
    description: str,
    cells: Sequence[tuple[int, int, int]],
    side: int,
    x: str,
    y: str,
    show: Format,
) -> str:
    """
    Draw counts on a square of ``side`` by ``side`` cells and the diagonal on which both agree.

    ``cells`` holds (column, row, count), row 0 at the bottom, counts above 0. A shade stands for a
    range of counts, each as many times the one before.
    """
    right = WIDTH - RIGHT
    size = right - LEFT
    floor = TOP + size
    height = floor + BOTTOM + 30
    most = max((count for _, _, count in cells), default=1)
    squares = [""] * LEVELS
    for column, row, count in cells:
        squares[_level(count, most)] += f"M{column} {side - 1 - row}h1v1h-1z"
    parts = [
        f'<svg x="{LEFT}" y="{TOP}" width="{size}" height="{size}" viewBox="0 0 {side} {side}">'
    ]
    parts += [
        f'<path class="level{level}" d="{path}"/>' for level, path in enumerate(squares) if path
    ]
    parts.append("</svg>")
    parts.append(_line(LEFT, floor, right, TOP, "diagonal"))
    for tick in _ticks(side):
        along = size * tick / side
        parts.append(_line(LEFT, floor - along, right, floor - along, "grid"))
        parts.append(_line(LEFT + along, TOP, LEFT + along, floor, "grid"))
        parts.append(_text(LEFT - 5, floor - along + 4, show(tick), "end"))
        parts.append(_text(LEFT + along, floor + 15, show(tick), "middle"))
    parts.append(_text((LEFT + right) / 2, floor + 33, x, "middle", "axis"))
    parts.append(_upright(11, (TOP + floor) / 2, y))
    swatch = right - len(f"{most:,}") * 7 - 6 - LEVELS * 18
    parts.append(_text(swatch - 5, floor + 60, "1 trip", "end"))
    for level in range(LEVELS):
        parts.append(
            f'<rect class="level{level}" x="{swatch + level * 18}" y="{floor + 51}" '
            'width="18" height="11"/>'
        )
    parts.append(_text(right, floor + 60, f"{most:,}", "end"))
    return _svg(title, description, height, parts)


def _scale(bars: Sequence[Bar]) -> list[float]:
    return _ticks(max((bar.value for bar in bars if bar.value is not None), default=0.0))


def _ticks(highest: float) -> list[float]:
    """
    Return round numbers from 0 to the first at or above ``highest``.
    """
    if not highest > 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(highest / TICKS))
    step = next(power * k for k in (1, 2, 2.5, 5, 10) if power * k * TICKS >= highest * (1 - 1e-9))
    return [step * k for k in range(math.ceil(highest / step - 1e-9) + 1)]


def _level(count: int, most: int) -> int:
    return min(LEVELS - 1, int(LEVELS * math.log(count) / math.log(most + 1)))


def _svg(title: str, description: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg class="chart" role="img" viewBox="0 0 {WIDTH} {height:g}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{''.join(parts)}</svg>"
    )


def _bar(x: float, y: float, width: float, height: float, tip: str) -> str:
    return (
        f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}">'
        f"<title>{escape(tip)}</title></rect>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str, kind: str = "label") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _upright(x: float, y: float, text: str) -> str:
    return (
        f'<text class="axis" transform="translate({x:.1f} {y:.1f}) rotate(-90)" '
        f'text-anchor="middle">{escape(text)}</text>'
    )
