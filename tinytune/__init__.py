"""tinytune tunes hyperparameters and remembers everything: one decorator, one SQLite file.

    @tinytune.trial(minimize="loss")
    def train(lr: Annotated[float, Float(1e-4, 1.0, log=True)] = 0.1, epochs: int = 20) -> float:
        for epoch in range(epochs):
            ...
            tinytune.report(epoch, loss=loss)
        return loss

    study = train.tune("study.db", trials=60)
    study.best_params, study.best_value

`help(tinytune.trial)` and `help(train.tune)` have all arguments; `tinytune.open` reads a study that
is there, and takes its trials one by one. The `tinytune` command does the rest.
"""

from __future__ import annotations

__version__ = "0.1.0.dev0"

TYPE_CHECKING = False  # type checkers know better; to import typing takes longer than all of this
if TYPE_CHECKING:
    from tinytune.context import Trial, load, report, save, seed_everything, should_stop
    from tinytune.context import current_seed as seed
    from tinytune.decorator import TunableObjective as Objective
    from tinytune.decorator import open_study as open  # noqa: A004 - read as tinytune.open
    from tinytune.decorator import trial
    from tinytune.distributions import Between, Choice, Float, Int, LogNormal, Normal
    from tinytune.errors import TinytuneError, TrialStopped
    from tinytune.loop import steps
    from tinytune.search.auto import Auto
    from tinytune.search.cma_es import CmaEs
    from tinytune.search.de import De
    from tinytune.search.gp import Gp
    from tinytune.search.grid import Grid
    from tinytune.search.halton import Halton
    from tinytune.search.latin import Latin
    from tinytune.search.nelder_mead import NelderMead
    from tinytune.search.nsga_ii import NsgaII
    from tinytune.search.one_plus_one import OnePlusOne
    from tinytune.search.pattern import Pattern
    from tinytune.search.random import Random
    from tinytune.search.sobol import Sobol
    from tinytune.search.tpe import Tpe
    from tinytune.search.trust_region import TrustRegion
    from tinytune.study import Study

# Where each public name lives. They are loaded when they are first used, so that
# `import tinytune` and the commands that only read a study are quick.
_HOMES = {
    "trial": ("decorator", "trial"),
    "open": ("decorator", "open_study"),
    "report": ("context", "report"),
    "should_stop": ("context", "should_stop"),
    "save": ("context", "save"),
    "load": ("context", "load"),
    "steps": ("loop", "steps"),
    "seed": ("context", "current_seed"),
    "seed_everything": ("context", "seed_everything"),
    "Objective": ("decorator", "TunableObjective"),
    "Trial": ("context", "Trial"),
    "Study": ("study", "Study"),
    "TinytuneError": ("errors", "TinytuneError"),
    "TrialStopped": ("errors", "TrialStopped"),
    "Random": ("search.random", "Random"),
    "Grid": ("search.grid", "Grid"),
    "Sobol": ("search.sobol", "Sobol"),
    "Halton": ("search.halton", "Halton"),
    "Latin": ("search.latin", "Latin"),
    "NelderMead": ("search.nelder_mead", "NelderMead"),
    "Pattern": ("search.pattern", "Pattern"),
    "OnePlusOne": ("search.one_plus_one", "OnePlusOne"),
    "De": ("search.de", "De"),
    "CmaEs": ("search.cma_es", "CmaEs"),
    "TrustRegion": ("search.trust_region", "TrustRegion"),
    "Tpe": ("search.tpe", "Tpe"),
    "Gp": ("search.gp", "Gp"),
    "NsgaII": ("search.nsga_ii", "NsgaII"),
    "Auto": ("search.auto", "Auto"),
} | {
    name: ("distributions", name)
    for name in ("Float", "Int", "Choice", "Normal", "LogNormal", "Between")
}

__all__ = [
    "trial", "report", "should_stop", "steps", "save", "load", "seed", "seed_everything", "open",
    "Float", "Int", "Choice", "Normal", "LogNormal", "Between",
    "Objective", "Trial", "Study", "TinytuneError", "TrialStopped", "__version__",
    "Random", "Grid", "Sobol", "Halton", "Latin", "NelderMead", "Pattern", "OnePlusOne", "De",
    "CmaEs", "TrustRegion", "Tpe", "Gp", "NsgaII", "Auto",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'tinytune' has no attribute {name!r}")
    import importlib

    module, attribute = _HOMES[name]
    value = getattr(importlib.import_module(f"tinytune.{module}"), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
