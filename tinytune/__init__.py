"""tinytune tunes hyperparameters and remembers everything: one decorator, one SQLite file."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0.dev0"

if TYPE_CHECKING:
    from tinytune.context import Trial, report, seed_everything
    from tinytune.context import current_seed as seed
    from tinytune.decorator import open_study as open  # noqa: A004 - read as tinytune.open
    from tinytune.decorator import trial
    from tinytune.distributions import Between, Choice, Float, Int, LogNormal, Normal
    from tinytune.errors import TinytuneError
    from tinytune.search.grid import Grid
    from tinytune.search.random import Random
    from tinytune.study import Study

# Where each public name lives. They are loaded when they are first used, so that
# `import tinytune` and the commands that only read a study are quick.
_HOMES = {
    "trial": ("decorator", "trial"),
    "open": ("decorator", "open_study"),
    "report": ("context", "report"),
    "seed": ("context", "current_seed"),
    "seed_everything": ("context", "seed_everything"),
    "Trial": ("context", "Trial"),
    "Study": ("study", "Study"),
    "TinytuneError": ("errors", "TinytuneError"),
    "Grid": ("search.grid", "Grid"),
    "Random": ("search.random", "Random"),
} | {
    name: ("distributions", name)
    for name in ("Float", "Int", "Choice", "Normal", "LogNormal", "Between")
}

__all__ = [
    "trial", "report", "seed", "seed_everything", "open",
    "Float", "Int", "Choice", "Normal", "LogNormal", "Between",
    "Trial", "Study", "Random", "Grid", "TinytuneError", "__version__",
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
