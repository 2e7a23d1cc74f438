"""Finds an objective: in a file or module that the user names, or where a study says it was."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from tinytune import command
from tinytune.errors import ObjectiveError, TinytuneError, UsageError
from tinytune.history import ObjectiveReference, Source
from tinytune.objective import Objective

_RELATIVE = re.compile(r"^\s*from\s+\.", re.MULTILINE)
_loading: list[str] = []


def load(target: str) -> Objective:
    """Return the objective of `file.py`, `file.py:function` or `package.module:function`.

    A module is looked for in the working folder first, or in the one that stands before it:
    `src/package.module`. The file's code is run. UsageError where the target is malformed,
    ObjectiveError where there is no such objective.
    """
    if target.startswith(command.TARGET):
        return command.load(target)
    place, function = _split(target)
    module = _file_module(Path(place)) if place.endswith(".py") else _named_module(place)
    return _chosen(module, place, function)


def refuse_while_loading(what: str) -> None:
    """Raise ObjectiveError if a file is being loaded: it must not start a study of its own."""
    if _loading:
        raise ObjectiveError(
            f"{_loading[-1]} calls {what} while it is loaded: "
            "put the call under `if __name__ == '__main__':`"
        )


def reference(objective: Objective, study: Path, target: str | None = None) -> ObjectiveReference:
    """Return how `resume` can find an objective again."""
    if isinstance(objective, command.CommandObjective):
        return command.reference(objective, study)
    module = None
    if target is not None and not _split(target)[0].endswith(".py"):
        module = _folder_and_name(_split(target)[0])[1]
    path = source_path(objective)
    if path is None:
        return ObjectiveReference(objective.name, module)
    return ObjectiveReference(
        objective.name,
        module,
        os.path.relpath(path, study.resolve().parent),
        os.path.relpath(path, Path.cwd()),
    )


def find(stored: ObjectiveReference, study: Path) -> str:
    """Return the target at which a study's objective is now; ObjectiveError if it is nowhere."""
    candidates: list[Path] = []
    if stored.beside_study is not None:
        candidates.append(study.resolve().parent / stored.beside_study)
    if stored.from_cwd is not None:
        candidates.append(Path.cwd() / stored.from_cwd)
    for candidate in candidates:
        if candidate.is_file() and stored.module is None:
            return f"{os.path.relpath(candidate)}:{stored.function}"
    if stored.module is not None:
        roots = [_root(path, stored.module) for path in candidates if path.is_file()]
        known = {Path(each).resolve() for each in ("", *sys.path)}
        if roots and roots[0] not in known:
            return f"{os.path.relpath(roots[0])}/{stored.module}:{stored.function}"
        return f"{stored.module}:{stored.function}"
    where = " or ".join(dict.fromkeys(os.path.relpath(candidate) for candidate in candidates))
    raise ObjectiveError(
        f"{study} was made by the function {stored.function!r}"
        + (f", which is not at {where}" if where else ", which was in no file")
        + ": name it with --objective FILE.py:FUNCTION"
    )


def place(target: str) -> str:
    """Return what running a target would load: a file's whole path, or a module seen from here."""
    if target.startswith(command.TARGET):
        return command.place(target)
    name = _split(target)[0]
    if name.endswith(".py"):
        return str(Path(name).resolve())
    folder, module = _folder_and_name(name)
    return f"module {module} in {folder.resolve()}"


def root(objective: Objective) -> Path | None:
    """Return the folder from which an objective's module can be imported, None if it has none."""
    path = source_path(objective)
    return None if path is None else _root(path, objective.module)


def target_of(objective: Objective) -> str | None:
    """Return what other processes load: its file, or its module if that has relative imports.

    None where it is in no file (a notebook).
    """
    path = source_path(objective)
    if path is None:
        return None
    spec = getattr(sys.modules.get(objective.module), "__spec__", None)  # python -m package.module
    module = objective.module if spec is None else spec.name
    text = path.read_text(encoding="utf-8", errors="replace")
    above = _above(path, module) if _RELATIVE.search(text) else None
    return f"{path if above is None else above / module}:{objective.name}"


def _root(path: Path, module: str) -> Path:
    """Return the folder above all the packages that a module's file is in."""
    return _above(path, module) or path.resolve().parent


def _above(path: Path, module: str) -> Path | None:
    """Return the same, None where the file is not where a module of this name would be."""
    path, parts = path.resolve(), tuple(module.split("."))
    place = path.parent if path.name == "__init__.py" else path.with_suffix("")
    return place.parents[len(parts) - 1] if place.parts[-len(parts) :] == parts else None


def source_path(objective: Objective) -> Path | None:
    """Return the file that an objective was defined in, None if there is none (a notebook)."""
    return objective.file


def source(objective: Objective) -> Source | None:
    """Return the text of the file that an objective was defined in."""
    path = source_path(objective)
    if path is None:
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    return Source(hashlib.sha256(text.encode()).hexdigest(), path.name, text)


def change(before: Source, after: Source, longest: int = 40) -> str:
    """Return the difference of two texts, at most so many lines of it."""
    import difflib

    lines = list(
        difflib.unified_diff(
            before.text.splitlines(), after.text.splitlines(),
            f"{before.name} (study)", f"{after.name} (now)", n=1, lineterm="",
        )
    )  # fmt: skip
    more = [f"… {len(lines) - longest} more lines"] if len(lines) > longest else []
    return "\n".join(lines[:longest] + more)


def _split(target: str) -> tuple[str, str | None]:
    place, colon, function = target.rpartition(":")
    if not colon or function.endswith(".py") or os.sep in function:
        place, function = target, ""
    if place.endswith(".py"):
        return place, function or None
    parts = _folder_and_name(place)[1].split(".")
    if not all(part.isidentifier() for part in parts):
        raise UsageError(
            f"{target!r} is no objective: write FILE.py, FILE.py:FUNCTION or MODULE:FUNCTION"
        )
    return place, function or None


def _folder_and_name(place: str) -> tuple[Path, str]:
    """Split `src/package.module`; without a folder it is the working folder."""
    folder, slash, name = place.rpartition("/")
    return Path(folder + slash), name


def _file_module(path: Path) -> ModuleType:
    if not path.is_file():
        raise ObjectiveError(f"there is no file {path}: check the path")
    path = path.resolve()
    # As `python FILE.py` does, so that the file finds its neighbours.
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    name = path.stem
    known = sys.modules.get(name)
    if known is not None:
        if getattr(known, "__file__", None) == str(path):
            return known
        name = f"_tinytune_{name}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ObjectiveError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with _explaining(path.name):
        spec.loader.exec_module(module)
    return module


def _named_module(place: str) -> ModuleType:
    folder, name = _folder_and_name(place)
    is_here = folder == Path()
    if not folder.is_dir():
        raise ObjectiveError(f"there is no folder {folder}: check the path")
    if not (is_here and "" in sys.path) and str(folder.resolve()) not in sys.path:
        sys.path.insert(0, str(folder.resolve()))
    with _explaining(name):
        return importlib.import_module(name)


@contextmanager
def _explaining(name: str) -> Iterator[None]:
    """Turn what a file raises while it is loaded into one sentence."""
    _loading.append(name)
    try:
        yield
    except TinytuneError:
        raise
    except (Exception, SystemExit) as error:
        line = _last_line(error, name)
        raise ObjectiveError(
            f"{name} cannot be loaded: {type(error).__name__}: {error}{line}"
        ) from error
    finally:
        _loading.pop()


def _last_line(error: BaseException, name: str) -> str:
    """Return where in the user's file an error came up."""
    line, trace = "", error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).name == name:
            line = f" (line {trace.tb_lineno})"
        trace = trace.tb_next
    return line


def _chosen(module: ModuleType, place: str, function: str | None) -> Objective:
    found = {name: value for name, value in vars(module).items() if isinstance(value, Objective)}
    if function is not None:
        value = found.get(function)
        if value is None:
            hint = (
                "decorate it with @tinytune.trial"
                if hasattr(module, function)
                else (f"it has {', '.join(found)}" if found else "it has none")
            )
            raise ObjectiveError(f"{place} has no objective {function!r}: {hint}")
        return value
    if not found:
        raise ObjectiveError(f"{place} has no objective: decorate a function with @tinytune.trial")
    if len(found) > 1:
        raise UsageError(
            f"{place} has several objectives: name one of {', '.join(found)}, "
            f"for example {place}:{next(iter(found))}"
        )
    return next(iter(found.values()))
