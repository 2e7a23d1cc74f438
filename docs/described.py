"""Prints what docs/searches.md shows of the searches: their options, and how they were measured.

The options come from the searches themselves, the figures from benchmarks/quality/results.md.
"""

import math
from pathlib import Path

from tinytune.output import searches

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "quality" / "results.md"
_FOUND = {each.name: each for each in searches.described()}


def options(name: str) -> None:
    """Print a search's options with their defaults, and its own description of them."""
    each = _FOUND[name]
    if each.options:
        print("| option | default |\n| --- | --- |")
        for option, value in each.options.items():
            shown = str(value).lower() if isinstance(value, bool) else str(value)
            print(f"| `{option}` | `{shown}` |")
        print()
    print("\n".join(f"> {line}".rstrip() for line in each.details.splitlines()[2:]))


def summary() -> None:
    """Print all searches, one line each."""
    print("| search | learns | what it is |\n| --- | --- | --- |")
    for each in _FOUND.values():
        name = each.name
        print(f"| [{name}](#{name}) | {'yes' if each.learns else 'no'} | {each.summary} |")


def confirmed() -> None:
    """Print what benchmarks/confirm.md concludes for each search."""
    text = (RESULTS.parents[1] / "confirm.md").read_text(encoding="utf-8")
    for part in text.split("\n## ")[1:]:
        name, _, rest = part.partition("\n")
        print(f"- *{name}*: {rest.strip().splitlines()[-1]}")


def advice() -> None:
    """Print which search to use when, with the figures that speak for it."""
    print("| your study | use | measured on | at 50 | at 200 |\n| --- | --- | --- | --- | --- |")
    for situation, use, column, names in _ADVICE:
        cells = [_figures(names, column, budget) for budget in (50, 200)]
        print(f"| {situation} | {use} | {column} | {cells[0]} | {cells[1]} |")


_ADVICE = (  # situation, advice, a column of results.md with both budgets, searches
    ("Unknown, some 50 trials", "`auto`", "syn", ("auto", "tpe", "trust-region", "pattern")),
    ("Unknown, 200 trials or more", "`auto`", "hpo", ("auto", "nelder-mead", "de", "pattern")),
    ("The same, and trials take less than a second", "`nelder-mead`, `de` or `pattern`", "hpo",
     ("auto", "nelder-mead", "de", "pattern", "cma-es")),
    ("A few numbers, good defaults, one worker", "`nelder-mead`", "bbob 5D",
     ("auto", "nelder-mead", "trust-region", "de")),
    ("Smooth, no noise, up to some twenty numbers", "`trust-region`", "bbob 10D",
     ("auto", "trust-region", "nelder-mead", "cma-es")),
    ("Several workers, 200 trials or more", "`cma-es`, `de` or `pattern`", "bbob, 4 w.",
     ("auto", "cma-es", "de", "pattern", "nelder-mead")),
    ("Noise", "`auto`, `cma-es` from 200 trials; never `trust-region`", "noisyhart6",
     ("auto", "cma-es", "de", "trust-region")),
    ("Mostly categories", "`auto`, `pattern` or `trust-region`", "cat8",
     ("auto", "pattern", "nelder-mead", "trust-region", "de")),
    ("Conditions (`when=`)", "`trust-region` or `pattern`; `one-plus-one`, `de` from 200 trials",
     "condtree", ("auto", "trust-region", "pattern", "one-plus-one", "de", "nelder-mead")),
    ("Plateaus, steps, whole numbers", "`auto`, `pattern` or `nelder-mead`", "steps5",
     ("auto", "pattern", "nelder-mead", "cma-es", "trust-region")),
    ("Many parameters, of which few matter", "`trust-region` or `one-plus-one`", "branin2of10",
     ("auto", "trust-region", "one-plus-one", "nelder-mead", "cma-es")),
)  # fmt: skip


def _figures(names: tuple[str, ...], column: str, budget: int) -> str:
    """Return searches' figures from results.md: for a family, or for a part of one."""
    family, comma, rest = column.partition(",")
    rows = _rows("## All searches")
    head = f"{family} {budget}{comma}{rest}"
    if head not in rows[0]:
        rows, head = _rows(f"At {budget} evaluations:"), column
    at = rows[0].index(head)
    found = {row[0].strip("*"): row[at].strip("*") for row in rows}
    return ", ".join(f"{name} {found[name]}" for name in names)


def workers() -> None:
    """Print what four workers cost the searches that learn, at 200 evaluations."""
    rows = _rows("## All searches")
    families = ("hpo", "syn", "bbob")
    print("| search | " + " | ".join(f"{f}: 1 worker, 4 workers" for f in families) + " |")
    print("| --- " * 4 + "|")
    for row in rows[1:]:
        name = row[0].strip("*")
        if name in _FOUND and _FOUND[name].learns:
            ones = [row[rows[0].index(f"{f} 200")].strip("*") for f in families]
            fours = [row[rows[0].index(f"{f} 200, 4 w.")].strip("*") for f in families]
            cells = [f"{a} → {b}" for a, b in zip(ones, fours, strict=True)]
            print(f"| {name} | " + " | ".join(cells) + " |")


def measured(name: str) -> None:
    """Print a search's mean regrets, and its rank among tinytune's searches."""
    rows = _rows("## All searches")
    heads = rows[0]
    ours = {row[0].strip("*"): row for row in rows[1:] if row[0].strip("*") in _FOUND}
    if name not in ours:
        print("Not measured yet.")
        return
    print("| workers | " + " | ".join(heads[1:7]) + " |\n" + "| --- " * 7 + "|")
    for workers, columns in (("1", range(1, 7)), ("4", range(7, 13))):
        cells = []
        for column in columns:
            values = [_number(row[column]) for row in ours.values()]
            value = _number(ours[name][column])
            place = sum(other < value for other in values) + 1
            cells.append("-" if math.isinf(value) else f"{value:.2f} ({place}.)")
        print(f"| {workers} | " + " | ".join(cells) + " |")
    for row in _rows("## Our searches beside"):
        if row[0] == name:
            print(f"\nBeside {row[1]}: better in {row[2]}, level in {row[3]}, worse in {row[4]}.")


def _number(cell: str) -> float:
    """Return a cell's number, infinity where nothing was run."""
    text = cell.strip("*")
    return math.inf if text == "-" else float(text)


def _rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading that begins so, without its rule."""
    text = RESULTS.read_text(encoding="utf-8").partition(f"\n{heading}")[2]
    lines = text[text.index("\n|") + 1 :].partition("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [rows[0], *rows[2:]]


def rules() -> None:
    """Print all stopping rules, with their options."""
    print("```text")
    print(searches.text(searches.described_rules()))
    print("```")


def digits() -> None:
    """Print what early stopping saves on the digits example."""
    text = Path(__file__).parents[1] / "benchmarks" / "stopping" / "digits.md"
    print(text.read_text(encoding="utf-8").strip())


def early() -> None:
    """Print what early stopping saves and loses with two objectives."""
    text = Path(__file__).parents[1] / "benchmarks" / "objectives" / "early.md"
    print(text.read_text(encoding="utf-8").strip())
