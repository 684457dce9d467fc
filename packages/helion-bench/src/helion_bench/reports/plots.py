"""Plots as SVG text that takes its colours from the page's style sheet.

matplotlib draws in placeholder colours, and these become CSS variables: one drawing serves light and dark pages. Each
is drawn for the width of a phone, with text as text; wide pages put several side by side.
"""

from __future__ import annotations

import functools
import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from helion_bench.reports import figures
from helion_bench.reports.tables import headline_of
from helion_bench.results import derived
from helion_bench.results.model import CaseKey, Role, Run
from helion_bench.results.speedup import Speedup, speedups, summarise

WIDTH = 360
"""CSS pixels of a drawing, before the page scales it."""
SERIES = 8
"""Colours there are for the peers of one operation; more of them share colours."""
_POINTS = 72 / 96  # of a CSS pixel
_TEXT, _FAINT, _GRID, _OURS, _CARD = "#010101", "#020202", "#030303", "#040404", "#060606"
_VARIABLES = {_TEXT: "--text", _FAINT: "--faint", _GRID: "--grid", _OURS: "--ours", _CARD: "--card"}
_PEERS = [f"#0500{i:02d}" for i in range(SERIES)]
_VARIABLES |= {color: f"--peer{i}" for i, color in enumerate(_PEERS)}
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 11 * _POINTS,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _FAINT,
    "axes.labelsize": 11 * _POINTS,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "text.color": _TEXT,
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "grid.color": _GRID,
    "grid.linewidth": 0.5,
}


@dataclass(frozen=True)
class Plot:
    """A drawing with its title, what it shows for readers who do not see it, and the CSS variables of its series."""

    title: str
    svg: str
    alt: str
    legend: tuple[tuple[str, str], ...] = ()


def peer_colors(found: Sequence[Speedup], peers: Sequence[str]) -> dict[str, int]:
    """The number of each peer's colour: the same everywhere, and different for peers that meet in one operation."""
    meeting: dict[str, set[str]] = {name: set() for name in peers}
    for speedup in found:
        for name in speedup.against:
            meeting[name] |= speedup.against.keys()
    colors: dict[str, int] = {}
    for index, name in enumerate(peers):
        taken = {colors[other] for other in meeting[name] if other in colors}
        colors[name] = next((color for color in range(SERIES) if color not in taken), index % SERIES)
    return colors


def speedup_plots(run: Run) -> Iterator[Plot]:
    """One an operation: for every case, how many times as fast ours is as each peer; a bar to the best of them."""
    found = speedups(run, headline_of(run))
    colors = peer_colors(found, [name for name in run.names(Role.PEER) if any(name in s.against for s in found)])
    for index, op in enumerate(dict.fromkeys(speedup.case.op for speedup in found)):
        mine = [speedup for speedup in found if speedup.case.op == op]
        worst, best = (f(s.best_peer.value for s in mine) for f in (min, max))
        alt = f"Speed-up of {op} over the best peer: from {figures.factor(worst)} to {figures.factor(best)}"
        svg = _draw(f"speedup{index}", 30 * len(mine) + 34, functools.partial(_dots, found=mine, colors=colors))
        here = [name for name in colors if any(name in speedup.against for speedup in mine)]
        yield Plot(op, svg, alt, tuple((name, f"--peer{colors[name]}") for name in here))


def _dots(figure: Figure, found: Sequence[Speedup], colors: dict[str, int]) -> None:
    height = figure.get_figheight() * 96
    axes = figure.add_axes((0.36, 24 / height, 0.60, 1 - 30 / height))
    for row, speedup in enumerate(found):
        best = speedup.best_peer
        axes.plot([1, best.value], [row, row], color=_OURS, linewidth=5, solid_capstyle="butt", alpha=0.35, zorder=1)
        for name, interval in speedup.against.items():
            size = 36 if name == speedup.best else 20
            axes.scatter([interval.value], [row], s=size * _POINTS, color=_PEERS[colors[name]], zorder=3, linewidths=0)
        if best.known:
            axes.plot([best.low, best.high], [row, row], color=_TEXT, linewidth=0.8, zorder=4)
    axes.axvline(1, color=_TEXT, linewidth=0.9, zorder=2)
    _row_labels(axes, [_two_lines(s.case) for s in found])
    ends = [end for s in found if s.best_peer.known for end in (s.best_peer.low, s.best_peer.high)]
    _factor_axis(axes, [*(i.value for s in found for i in s.against.values()), *ends])


def _row_labels(axes: Any, labels: Sequence[tuple[str, str]]) -> None:
    axes.set_yticks(range(len(labels)), [""] * len(labels))
    axes.set_ylim(len(labels) - 0.4, -0.6)
    place = {
        "xycoords": ("axes fraction", "data"),
        "textcoords": "offset points",
        "ha": "right",
        "annotation_clip": False,
    }
    for row, (first, second) in enumerate(labels):
        axes.annotate(_shortened(first), (0, row), (-6, 1), va="bottom", fontsize=10 * _POINTS, color=_TEXT, **place)
        axes.annotate(_shortened(second), (0, row), (-6, -1), va="top", fontsize=9.5 * _POINTS, color=_FAINT, **place)


def _two_lines(case: CaseKey) -> tuple[str, str]:
    """Sizes, and below them whatever else tells the case from others."""
    sizes, _, rest = case.shape.partition("-")
    return sizes, " ".join(filter(None, [rest, figures.dtype_name(case.dtype), case.pass_]))


def _shortened(label: str, length: int = 20) -> str:
    return label if len(label) <= length else label[: length - 1] + "…"


_COARSE = [2.0**k for k in range(-8, 9)]
_MIDDLE = [0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6]
_FINE = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.7, 2.0]


def _factor_axis(axes: Any, values: Sequence[float]) -> None:
    """A logarithmic axis of factors, so that twice and half as fast are as far from 1."""
    axes.set_xscale("log")
    low, high = min(*values, 0.85) / 1.08, max(*values, 1.18) * 1.08
    axes.set_xlim(low, high)
    steps = _COARSE if high / low > 6 else _MIDDLE if high / low > 2 else _FINE
    ticks = [tick for tick in steps if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
    axes.minorticks_off()
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def roofline_plot(run: Run) -> Plot | None:
    """What ours reaches against the machine's ceilings, by operations a byte; None where nothing is known of either."""
    points = list(_roofline_points(run))
    if not points:
        return None
    alt = f"Roofline: {len(points)} cases of {headline_of(run)}"
    return Plot("Roofline", _draw("roofline", 290, lambda figure: _roofline(figure, run, points)), alt)


def _roofline_points(run: Run) -> Iterator[tuple[CaseKey, float, float]]:
    for cell in run.cells:
        rate = derived.tflops(cell)
        if cell.backend == headline_of(run) and derived.timed(cell) and rate and cell.flops and cell.bytes_moved:
            yield cell.case, cell.flops / cell.bytes_moved, rate


def _roofline(figure: Figure, run: Run, points: Sequence[tuple[CaseKey, float, float]]) -> None:
    axes = figure.add_axes((0.11, 0.14, 0.85, 0.78))
    axes.set_xscale("log")
    axes.set_yscale("log")
    x = [intensity for _, intensity, _ in points]
    y = [rate for _, _, rate in points]
    left, right = min(x) / 3, max(x) * 3
    top = _ceilings(axes, run, {case.dtype for case, _, _ in points}, left, right)
    axes.scatter(x, y, s=22 * _POINTS, color=_OURS, alpha=0.8, linewidths=0, zorder=3)
    axes.set_xlim(left, right)
    axes.set_ylim(min(y) / 2, max([*top, *y]) * 2)
    axes.set_xlabel("operations a byte")
    axes.set_title("TFLOP/s", loc="left", fontsize=11 * _POINTS, color=_FAINT, pad=4)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_formatter(lambda value, _: "")
    _name_ops(axes, points)
    axes.grid()
    axes.set_axisbelow(True)


def _ceilings(axes: Any, run: Run, dtypes: set[str], left: float, right: float) -> list[float]:
    """Draw the roof of each dtype, and give their heights."""
    peaks = run.machine.peaks
    heights = []
    for dtype, roof in peaks.tflops:
        if dtype not in dtypes:
            continue
        heights.append(roof)
        at, offset = right, (-2, 3)
        if peaks.gbps:
            knee = roof * 1e3 / peaks.gbps
            begin, end = left, max(right, knee * 1.5)
            axes.plot([begin, knee, end], [begin * peaks.gbps / 1e3, roof, roof], color=_FAINT, linewidth=1)
            at, offset = knee, (-4, -2)  # above the slope, where no case can be
        else:
            axes.axhline(roof, color=_FAINT, linewidth=1)
        text = f"{figures.dtype_name(dtype)} {figures.number(roof)} TFLOP/s"
        place: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "fontsize": 9 * _POINTS}
        axes.annotate(text, (at, roof), offset, color=_FAINT, **place)
    return heights


def _name_ops(axes: Any, points: Sequence[tuple[CaseKey, float, float]]) -> None:
    """Each operation's name at its fastest case, unless another name or, far right, other cases are in its place.

    Names stand below their case, where the roof's slope leaves room, and above it at the right, where cases crowd.
    """
    left, right = (math.log10(limit) for limit in axes.get_xlim())
    bottom, top = (math.log10(limit) for limit in axes.get_ylim())
    wide, high = 0.25 * (right - left), 0.055 * (top - bottom)  # a name's room
    places = [(case.op, math.log10(x), math.log10(y)) for case, x, y in points]
    taken: list[tuple[float, float]] = []
    for op in dict.fromkeys(op for op, _, _ in places):
        _, x, y = max((place for place in places if place[0] == op), key=lambda place: place[2])
        above = x > right - 1.6 * wide
        crowded = above and any(abs(x - a) < wide / 2 and 0 < b - y < high for _, a, b in places)
        if crowded or any(abs(x - a) < wide and abs(y - b) < high for a, b in taken):
            continue
        taken.append((x, y))
        offset, side = ((0, 5), "center") if above else ((4, -9), "left")
        style: dict[str, Any] = {"ha": side, "color": _TEXT, "fontsize": 9.5 * _POINTS, "zorder": 2.5}
        ground = {"boxstyle": "square,pad=0.1", "facecolor": _CARD, "linewidth": 0}  # a roof may run behind it
        axes.annotate(op, (10**x, 10**y), offset, textcoords="offset points", bbox=ground, **style)


def history_plot(runs: Sequence[Run]) -> Plot | None:
    """The speed-up over the best peer from run to run, one line an operation; None with fewer than two runs.

    A speed-up compares within a run, so the machine's drift between runs is not in it. Each operation's line is the
    geometric mean over the cases that all these runs have.
    """
    lines = _history_lines(runs)
    if len(runs) < 2 or not lines:
        return None
    alt = "; ".join(f"{op}: from {figures.factor(v[0])} to {figures.factor(v[-1])}" for op, v in lines.items())
    return Plot(
        f"History: {len(runs)} runs", _draw("history", 34 * len(lines) + 40, lambda f: _sparklines(f, runs, lines)), alt
    )


def _history_lines(runs: Sequence[Run]) -> dict[str, list[float]]:
    found = [{s.case: s for s in speedups(run, headline_of(run))} for run in runs]
    common = [case for case in found[-1] if all(case in one for one in found)] if found else []
    lines: dict[str, list[float]] = {}
    for op in dict.fromkeys(case.op for case in common):
        summaries = [summarise([one[case] for case in common if case.op == op]) for one in found]
        lines[op] = [summary.mean.value for summary in summaries if summary is not None]
    return lines


def _sparklines(figure: Figure, runs: Sequence[Run], lines: dict[str, list[float]]) -> None:
    """A small axis for each line, all to one scale."""
    height = figure.get_figheight() * 96
    spread = max(max(values) / min(values) for values in lines.values())
    reach = max(1.1, spread) ** 0.65
    for row, (op, values) in enumerate(lines.items()):
        axes = figure.add_axes((0.36, 1 - (34 * (row + 1)) / height, 0.46, 28 / height))
        middle = math.sqrt(min(values) * max(values))
        axes.set_yscale("log")
        axes.set_ylim(middle / reach, middle * reach)
        axes.set_yticks([])
        axes.minorticks_off()
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.set_xlim(-0.3, len(runs) - 0.7)
        axes.axhline(values[0], color=_GRID, linewidth=0.8)
        axes.plot(values, color=_OURS, linewidth=1.4, marker="o", markersize=2.2)
        _beside(axes, op, figures.factor(values[-1]))
        axes.set_xticks([])
        if row == len(lines) - 1:
            axes.set_xticks([0, len(runs) - 1], _ends(runs[0].started, runs[-1].started))


def _ends(first: str, last: str) -> list[str]:
    """Dates, or hours of the one day."""
    return [text[:10] if first[:10] != last[:10] else text[5:16].replace("T", " ") for text in (first, last)]


def _beside(axes: Any, left: str, right: str) -> None:
    style = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "center", "annotation_clip": False}
    axes.annotate(_shortened(left), (0, 0.5), (-6, 0), ha="right", color=_TEXT, fontsize=10 * _POINTS, **style)
    axes.annotate(right, (1, 0.5), (6, 0), ha="left", color=_TEXT, fontsize=10 * _POINTS, **style)


def _draw(name: str, height: int, paint: Callable[[Figure], None]) -> str:
    """An `<svg>` of `WIDTH` by `height` CSS pixels, without a prologue, the same for the same input.

    `name` is a word that no other drawing of the page has.
    """
    with mpl.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH / 96, height / 96), dpi=96)
        paint(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return _themed(text.getvalue(), name)


def _themed(svg: str, name: str) -> str:
    """Placeholder colours become variables, fonts the page's, ids unique to the drawing; sizes are left to the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'font: ([0-9.]+)px [^;"]*', r"font-size: \1px", svg)
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, f"var({variable})")
    return re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", svg)
