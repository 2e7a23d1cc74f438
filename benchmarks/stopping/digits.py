"""A grid on the digits example with and without the median rule: writes digits.md.

python benchmarks/stopping/digits.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from examples.momentum_sgd import train  # noqa: E402
from tinytune.store.reader import Reader  # noqa: E402

GRID = {"lr": 9, "momentum": [0, 0.5, 0.9, 0.99], "batch": [16, 32, 64, 128], "l2": [1e-4]}


def run(folder: str, stopping: str | None) -> tuple[int, int, dict[str, object], float]:
    """Return epochs, stopped trials, the best configuration and its error."""
    path = Path(folder) / f"{stopping}.db"
    study = train.tune(path, grid=GRID, stopping=stopping, workers=2, defaults=False, quiet=True)
    with study, Reader(path) as reader:
        trials = reader.trials()
        epochs = sum(len(reader.curves(trial)["error"]) for trial in trials)
        stopped = sum(trial.state == "stopped" for trial in trials)
        (best,) = study.best_trials(1)
        return epochs, stopped, best.params or {}, best.value or 0.0


def main() -> None:
    """Run both, and write."""
    lines = ["| | epochs | stopped early | best error | best configuration |", "|" + " --- |" * 5]
    whole = 0
    with tempfile.TemporaryDirectory() as folder:
        for label, stopping in (("whole grid", None), ("`--stop median`", "median")):
            epochs, stopped, params, error = run(folder, stopping)
            whole = whole or epochs
            shown = ", ".join(f"{name}={value:g}" for name, value in params.items())
            cells = (label, f"{epochs:,} ({epochs / whole:.0%})", stopped, f"{error:.4f}", shown)
            lines.append(f"| {' | '.join(map(str, cells))} |")
    text = "\n".join(lines) + "\n"
    (Path(__file__).parent / "digits.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
