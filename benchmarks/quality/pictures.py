"""Draws docs/searches-FAMILY.svg: our searches' mean regret against evaluations.

python benchmarks/quality/pictures.py HARNESS          # from the runs that compare.py has made
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import compare
import runs

COLOURS = {  # nearly Okabe and Ito's, which the colour-blind can tell apart; grey: does not learn
    "nelder-mead": "#0072b2",
    "pattern": "#e69f00",
    "one-plus-one": "#cc79a7",
    "de": "#009e73",
    "cma-es": "#d55e00",
    "trust-region": "#7a3e9d",
    "tpe": "#56b4e9",
    "auto": "#000000",
}
GREY = "#9a9a9a"
EVALUATIONS = (5, 7, 10, 14, 20, 28, 40, 57, 80, 113, 160, 200)  # where the references are known
TICKS_X, TICKS_Y = (5, 10, 20, 50, 100, 200), (0.1, 0.2, 0.3, 0.5, 1.0, 2.0)
LEFT, TOP, WIDTH, HEIGHT, LABELS, BOTTOM = 62, 46, 300, 270, 112, 44  # pixels
PITCH = 14  # between two labels


@dataclass(frozen=True)
class Line:
    """One search's curve."""

    name: str
    values: list[float]  # at EVALUATIONS

    @property
    def colour(self) -> str:
        """The search's colour."""
        return COLOURS.get(self.name, GREY)


def across(evaluations: float) -> float:
    """Return how far right a number of evaluations lies, in pixels of a panel."""
    low, high = EVALUATIONS[0], EVALUATIONS[-1]
    return WIDTH * math.log(evaluations / low) / math.log(high / low)


def down(regret: float, low: float) -> float:
    """Return how far down a regret lies, in pixels of a panel that ends at `low`."""
    high = TICKS_Y[-1]
    return HEIGHT * math.log(high / min(max(regret, low), high)) / math.log(high / low)


def spread(wanted: list[float]) -> list[float]:
    """Return heights near the wanted ones, in their order, at least PITCH apart, in the panel."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    placed = [wanted[index] for index in order]
    for _ in range(200):
        for index in range(1, len(placed)):
            lack = PITCH - (placed[index] - placed[index - 1])
            if lack > 0:
                placed[index] += lack / 2
                placed[index - 1] -= lack / 2
    heights = [0.0] * len(wanted)
    for index, height in zip(order, placed, strict=True):
        heights[index] = height
    return heights


def text(x: float, y: float, words: str, more: str = "") -> str:
    """Return a text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{words}</text>'


def axes(title: str, low: float) -> list[str]:
    """Return a panel's frame, ticks and title."""
    parts = [text(0, -12, title, 'font-weight="bold"')]
    for tick in (tick for tick in TICKS_Y if tick >= low):
        y = down(tick, low)
        parts.append(f'<path d="M0 {y:.1f}H{WIDTH}" stroke="#e4e4e4"/>')
        parts.append(text(-7, y + 4, f"{tick:g}", 'text-anchor="end"'))
    for tick in TICKS_X:
        x = across(tick)
        parts.append(f'<path d="M{x:.1f} {HEIGHT}v5" stroke="#555"/>')
        parts.append(text(x, HEIGHT + 18, str(tick), 'text-anchor="middle"'))
    parts.append(f'<path d="M0 0V{HEIGHT}H{WIDTH}" fill="none" stroke="#555"/>')
    parts.append(text(WIDTH / 2, HEIGHT + 36, "evaluations", 'text-anchor="middle"'))
    turned = f'text-anchor="middle" transform="rotate(-90 -38 {HEIGHT / 2})"'
    parts.append(text(-38, HEIGHT / 2, "regret; random search has 1", turned))
    return parts


def panel(title: str, lines: list[Line], low: float) -> list[str]:
    """Return a panel: the curves, with their names at their ends."""
    parts = axes(title, low)
    heights = spread([down(line.values[-1], low) for line in lines])
    for line, height in zip(lines, heights, strict=True):
        points = zip(EVALUATIONS, line.values, strict=True)
        path = " ".join(f"{across(n):.1f},{down(value, low):.1f}" for n, value in points)
        width = 3 if line.name == compare.DEFAULT else 2 if line.name in COLOURS else 1.3
        stroke = f'fill="none" stroke="{line.colour}"'
        dash = "" if line.name in COLOURS or line.name == "random" else ' stroke-dasharray="4 3"'
        parts.append(f'<polyline points="{path}" {stroke} stroke-width="{width}"{dash}/>')
        end = down(line.values[-1], low)
        parts.append(f'<path d="M{WIDTH + 2} {end:.1f}L{WIDTH + 14} {height:.1f}" {stroke}/>')
        fill = line.colour if line.name in COLOURS else "#666"
        parts.append(text(WIDTH + 18, height + 4, line.name, f'fill="{fill}"'))
    return parts


def picture(family: str, panels: dict[str, list[Line]]) -> str:
    """Return the SVG of a family: a panel for each number of workers."""
    least = min(min(line.values) for lines in panels.values() for line in lines)
    low = max((tick for tick in TICKS_Y if tick <= least), default=TICKS_Y[0])
    width = len(panels) * (LEFT + WIDTH + LABELS)
    height = TOP + HEIGHT + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
        '<g font-family="sans-serif" font-size="12" fill="#222">',
        f"<title>Mean regret against evaluations: {compare.FAMILIES[family]}</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for index, (title, lines) in enumerate(panels.items()):
        x = LEFT + index * (LEFT + WIDTH + LABELS)
        parts += [f'<g transform="translate({x} {TOP})">', *panel(title, lines, low), "</g>"]
    return "\n".join([*parts, "</g>", "</svg>"]) + "\n"


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("harness", type=Path, help="the harness's folder")
    parser.add_argument("--runs", type=Path, default=compare.RUNS, help="where runs are kept")
    asked = parser.parse_args()
    modules = runs.load(asked.harness.resolve())
    board = compare.Board(modules, runs.read(modules, asked.runs), EVALUATIONS)
    for family, label in compare.FAMILIES.items():
        panels = {}
        for mode, workers in compare.TITLES.items():
            lines = []
            for name in modules.searches:
                means = [board.mean(mode, family, n, runs.PREFIX + name) for n in EVALUATIONS]
                if all(means):  # it was run on all problems, with 200 evaluations
                    lines.append(Line(name, [mean.value for mean in means if mean]))
            panels[f"{label}, {workers.replace('simulated asynchronous ', '')}"] = lines
        path = compare.HERE.parents[1] / "docs" / f"searches-{family}.svg"
        path.write_text(picture(family, panels), encoding="utf-8")


if __name__ == "__main__":
    main()
