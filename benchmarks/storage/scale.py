"""What commands cost on a large study, beyond what they cost on a small one."""

from __future__ import annotations

import compileall
import json
import resource
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import tinytune
from benchmarks.storage import contestants
from benchmarks.storage.contestants import fill, record
from tinytune import study as study_module
from tinytune.search import spec
from tinytune.search.grid import Grid
from tinytune.study import Study

COMMANDS = (
    ("best",),
    ("best", "--top", "20"),
    ("status",),
    ("trials", "--top", "20"),
    ("show", "7"),
)
_EMPTY = "import typer\napp = typer.Typer()\n@app.command()\ndef main() -> None: ...\napp()"


def made(path: Path, trials: int, reports: int) -> Path:
    """Return a study of so many trials; one that is there already is used again.

    Above 100,000 they are entered by SQL alone, ten times as fast: their links are none, and such
    a study cannot be verified.
    """
    if not path.exists():
        study_module.start(path, record(), None)
        if trials <= 100_000:
            fill(path, trials, reports)
        else:
            _entered(path, trials, reports)
    return path


_TRIAL = """
INSERT INTO trial (number, state, origin, search, seed, params, asked, suggested, told, attempt,
                   worker, claimed, started, finished, seconds, value, results, link)
VALUES (?1, 'complete', 'search', 'random/1', ?2, ?3, ?4, ?4, ?5, 1, 1, ?4, ?6, ?6 + 0.5, 0.5, ?7,
        '{"value": ' || ?7 || '}', ?8)
"""
_METRICS = """
INSERT INTO metric (trial, attempt, name, step, tick, value, time)
WITH RECURSIVE step (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM step WHERE n + 1 < ?)
SELECT number, 1, 'loss', n, asked + 1 + n, 1.0 / (1 + n), started
FROM trial CROSS JOIN step WHERE number > 0
"""


def _entered(path: Path, trials: int, reports: int) -> None:
    with Study(path) as study:  # a worker joins, and makes the first
        first = study.ask()
        if first is not None:
            study.tell(first, 0.5)
    ticks = reports + 2
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    connection.executemany(_TRIAL, (_row(number, ticks) for number in range(1, trials)))
    connection.execute(_METRICS, (reports,))
    connection.execute("UPDATE clock SET tick = ?", (trials * ticks,))
    connection.execute("COMMIT")
    connection.close()


def _row(number: int, ticks: int) -> tuple[object, ...]:
    units = [
        ((number * factor) % 1_000_003 + 0.5) / 1_000_003 for factor in (7919, 104_729, 611, 5)
    ]
    params = dict(zip(contestants.NAMES, [*units, units[0] * units[1]], strict=True))
    asked, value = number * ticks + 1, (units[0] - 0.3) ** 2 + (units[1] - 0.6) ** 2
    return (number, number, json.dumps(params), asked, asked + ticks - 1, 1.8e9 + number, value,
            "0" * 32)  # fmt: skip


def spent(command: list[str]) -> float:
    """Return the milliseconds of processor time of one run of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(  # noqa: S603 - our own interpreter and module
        command, stdout=subprocess.DEVNULL, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def turns(commands: dict[str, list[str]], rounds: int) -> dict[str, list[float]]:
    """Run commands in turns and return what each run of each took."""
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            found[name].append(spent(command))
    return found


def start_up(small: Path, rounds: int = 21) -> str:
    """Return what starting costs, as Markdown."""
    package = Path(tinytune.__file__).parent
    compileall.compile_dir(package, quiet=1)  # as pip leaves it, also where Python writes none
    python = [sys.executable, "-c"]
    ours = [sys.executable, "-m", "tinytune"]
    commands = {
        "python -c pass": [*python, "pass"],
        "import sqlite3": [*python, "import sqlite3"],
        "import tinytune": [*python, "import tinytune"],
        "an empty Typer command": [*python, _EMPTY],
        "tinytune --version": [*ours, "--version"],
        "tinytune best": [*ours, "best", str(small)],
        "tinytune status": [*ours, "status", str(small)],
        "tinytune trials --top 20": [*ours, "trials", str(small), "--top", "20"],
        "tinytune show 7": [*ours, "show", str(small), "7"],
        "import optuna": [*python, "import optuna"],
    }
    found = turns(commands, rounds)
    base, empty = found["python -c pass"], found["an empty Typer command"]
    lines = [
        "| | CPU ms, least | median | least, beyond Python | least / empty | median / empty |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {name} | {min(each):.0f} | {median(each):.0f} | {min(each) - min(base):.0f} "
        f"| {min(each) / min(empty):.2f} | {median(each) / median(empty):.2f} |"
        for name, each in found.items()
    ]
    return "\n".join(lines)


def commands(small: Path, large: Path, rounds: int = 5) -> str:
    """Return what commands cost on both studies, as Markdown."""
    lines = [
        "| command | small: CPU ms, median | large: CPU ms, median | work beyond the small one's |",
        "|---|--:|--:|--:|",
    ]
    for words in COMMANDS:
        both = {
            name: [sys.executable, "-m", "tinytune", words[0], str(path), *words[1:]]
            for name, path in (("small", small), ("large", large))
        }
        found = {name: median(each) for name, each in turns(both, rounds).items()}
        lines.append(
            f"| `tinytune {' '.join(words)}` | {found['small']:.0f} | {found['large']:.0f} "
            f"| {found['large'] - found['small']:.0f} ms |"
        )
    return "\n".join(lines)


def first_ask(path: Path, rounds: int = 5) -> str:
    """Return how long it takes from opening a study to its next trial, as a sentence."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        study = Study(path)
        trial = study.ask()
        times.append((time.process_time() - start) * 1000)
        if trial is not None:
            study.tell(trial, 1e9)
        study.close()
    return f"open, resume and first ask: {median(times):.1f} ms CPU ({min(times):.1f} at least)"


def grid(folder: Path, rounds: int = 5) -> str:
    """Return how long a grid of 10^12 points takes to its first trial, as a sentence."""
    options = spec(Grid(points={"x0": 10**4, "x1": 10**4, "x2": 10**4, "x3": 1, "x4": 1}))
    made_of = record("grid", budget=100, **options.options)
    times = []
    for number in range(rounds):
        start = time.process_time()
        path = folder / f"grid-{number}.db"
        study_module.start(path, made_of, None)
        with Study(path) as study:
            study.ask()
            times.append((time.process_time() - start) * 1000)
    return f"a grid of 10^12 points, created and asked: {median(times):.1f} ms CPU"


def verified(path: Path, trials: int) -> str:
    """Return how fast a study is verified, as a sentence."""
    seconds = spent([sys.executable, "-m", "tinytune", "verify", str(path)]) / 1000
    return f"verify of {trials:,} random trials: {trials / seconds:,.0f} trials a second of CPU"


_RESIDENT = """
import sys
from pathlib import Path
from tinytune.study import Study
with Study(sys.argv[1]) as study:
    for _ in range(500):
        study.tell(study.ask(), 1e9)
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""


def resident(small: Path, large: Path) -> str:
    """Return what a worker of a search without memory holds after 500 trials, as a sentence."""
    megabytes = [
        int(subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", _RESIDENT, str(path)], capture_output=True, check=True,
        ).stdout) * 1024 / 1e6
        for path in (small, large)
    ]  # fmt: skip
    return (
        f"memory of a worker after 500 trials, at most: {megabytes[0]:.1f} MB on the small study, "
        f"{megabytes[1]:.1f} MB on the large one"
    )
