"""What an objective runs in, so that its results can be explained, and had again elsewhere."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import platform
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Any

from tinytune import loading
from tinytune.history import Environment, Source
from tinytune.objective import Objective

MOST_FILES = 200  # local modules whose text is kept
LONGEST_SOURCE = 256 * 1024  # characters; of a longer one the hash alone is kept
LONGEST_DIFF = 100_000  # characters
GIT_SECONDS = 10.0
VARIABLES = (  # no others are looked at: an environment is full of secrets
    "CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "PYTHONHASHSEED",
)  # fmt: skip
SECRET_FILES = (  # whatever is in them is not stored, neither as source nor in git's diff
    "*.env", ".env*", "*secret*", "*credential*", "*password*", "*token*", "*.pem", "*.key",
    "id_rsa*", "id_ed25519*", ".netrc", ".pypirc",
)  # fmt: skip
USUAL_WORDS = ("*token*", "*password*")  # in the names of Python files: tokenizer.py
_parsing = threading.Lock()  # Python 3.11's parser fails now and then in two threads at once
_NOT_LOCAL = {"site-packages", "dist-packages", "__pycache__", "node_modules"}


def gather(objective: Objective, study: Path, *, with_git: bool = True) -> Environment:
    """Return what is known of this process's environment; nothing of the objective is run."""
    main, root = loading.source_path(objective), loading.root(objective)
    files: dict[str, str] = {}
    sources: list[Source] = []
    # numpy is loaded later, by the searches that need it.
    imports = {"numpy", *(name.partition(".")[0] for name in sys.modules)}
    if main is not None and root is not None:
        for path in _local_files(main, root):
            source = _source(path)
            files[path.relative_to(root).as_posix()] = source.hash
            is_short = len(source.text) <= LONGEST_SOURCE
            if is_short and not _is_secret(path.relative_to(root)):
                sources.append(source)
            imports |= {name.partition(".")[0] for name in _imports(source.text) if name[0] != "."}
    own = {Path(name).parts[0].removesuffix(".py") for name in files}
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "sqlite": sqlite3.sqlite_version,
        "packages": _packages(imports - sys.stdlib_module_names, own),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "argv": _command(),
        "folder": os.path.relpath(Path.cwd(), study.absolute().parent),
        "files": files,
        "main": None if main is None or root is None else main.relative_to(root).as_posix(),
    }
    if main is not None and with_git:
        facts |= _git(main.parent)
    text = json.dumps(facts, ensure_ascii=False, sort_keys=True)
    text = text.encode("utf-8", "replace").decode()  # a path may hold what UTF-8 cannot
    return Environment(hashlib.sha256(text.encode()).hexdigest(), text, tuple(sources))


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in words what differs between two environments."""
    found = [
        f"{what} {before.get(what)} → {now.get(what)}"
        for what in ("python", "platform", "cpu", "sqlite")
        if before.get(what) != now.get(what)
    ]
    if "commit" in before and "commit" in now:  # else it ran with --no-git
        if before["commit"] != now["commit"]:
            found.append(f"commit {before['commit'][:12]} → {now['commit'][:12]}")
        elif before.get("diff") != now.get("diff"):
            found.append("other uncommitted changes")
    for kind in ("packages", "variables", "files"):
        old, new = before.get(kind) or {}, now.get(kind) or {}
        names = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
        found += [_change(kind, name, old.get(name), new.get(name)) for name in names]
    return found


def _change(kind: str, name: str, old: str | None, new: str | None) -> str:
    if kind == "files":
        verb = "new" if old is None else "gone" if new is None else "changed"
        return f"{name} {verb}"
    return f"{name} {old or 'not there'} → {new or 'not there'}"


def _local_files(main: Path, root: Path) -> Iterator[Path]:
    """Yield the objective's file, and the files beside it that it imports, loaded or not yet.

    `root` is the folder from which its module is imported. Of a package that is installed among
    others, only its own files are local.
    """
    is_among_others = bool(_NOT_LOCAL & set(root.parts))
    local = root / main.relative_to(root).parts[0] if is_among_others else root
    found = {main: None}
    for module in list(sys.modules.values()):
        place = getattr(module, "__file__", None)
        if isinstance(place, str) and place.endswith(".py") and _is_local(Path(place), local):
            found[Path(place)] = None
    waiting = list(found)
    while waiting and len(found) <= MOST_FILES:
        importing = waiting.pop()
        for name in sorted(_imports(_source(importing).text)):
            for path in _files_of(name, importing, root):
                if path not in found and _is_local(path, local):
                    found[path] = None
                    waiting.append(path)
    yield from sorted(found, key=lambda path: (path != main, path.as_posix()))


def _is_local(path: Path, folder: Path) -> bool:
    if not path.is_relative_to(folder):
        return False
    parts = path.relative_to(folder).parts
    hidden = any(part.startswith(".") or part in _NOT_LOCAL for part in parts)
    prefix = Path(sys.prefix)
    return not hidden and not (prefix.is_relative_to(folder) and path.is_relative_to(prefix))


def _files_of(name: str, importing: Path, root: Path) -> Iterator[Path]:
    """Yield the files of a module, and of the packages that it is in; `..a` is relative."""
    dots = len(name) - len(name.lstrip("."))
    place = root if not dots else importing.parents[min(dots, len(importing.parents)) - 1]
    for part in name[dots:].split("."):
        place /= part
        for path in (place.parent / f"{part}.py", place / "__init__.py"):
            if path.is_file():
                yield path


@lru_cache(maxsize=2 * MOST_FILES)
def _imports(text: str) -> frozenset[str]:
    """Return the modules that a source imports anywhere; `..a` is relative."""
    try:
        with _parsing:
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    names: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            between = "." if node.module else ""
            names |= {start} | {f"{start}{between}{alias.name}" for alias in node.names}
        else:  # an import is a statement: expressions, which are most of a source, hold none
            for block in ("body", "orelse", "finalbody", "handlers", "cases"):
                inside = getattr(node, block, ())
                waiting += inside if isinstance(inside, list) else ()
    return frozenset(names)


def _source(path: Path) -> Source:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")  # as `loading.source` does
    except OSError:  # it was loaded, and has gone since
        text = ""
    return Source(hashlib.sha256(text.encode()).hexdigest(), path.name, text)


def _is_secret(path: Path) -> bool:
    """Return whether a source, or a folder that it is in, is named as if it held secrets."""
    patterns = [pattern for pattern in SECRET_FILES if pattern not in USUAL_WORDS]
    return any(fnmatch(part.lower(), pattern) for part in path.parts for pattern in patterns)


def _packages(names: set[str], own: set[str]) -> dict[str, str]:
    """Return the versions of the packages that hold these modules, given their first names.

    A module of the objective's own is looked for only as a package of its name: of the others the
    files are known.
    """
    from importlib import metadata

    found: dict[str, str] = {}
    unknown: set[str] = set()
    for name in names:
        if not name.startswith("_"):
            try:
                known = metadata.metadata(name)  # parsed anew for each question
                found[known["Name"]] = known["Version"]
            except metadata.PackageNotFoundError:
                unknown |= {name} - own
    holders = metadata.packages_distributions() if unknown else {}  # slow: reads every package
    for name in unknown:
        for holder in holders.get(name, ()):
            found[holder] = metadata.version(holder)
    return dict(sorted(found.items()))


def _command() -> list[str]:
    """Return the command; of a script of the user's own the name alone, whatever it was told."""
    name = Path(sys.argv[0]).name
    is_ours = name == "tinytune" or Path(sys.argv[0]).parts[-2:] == ("tinytune", "__main__.py")
    return ["tinytune", *sys.argv[1:]] if is_ours else [name]


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _git(folder: Path) -> dict[str, str]:
    """Return commit, branch and uncommitted changes of the repository that a folder is in."""
    commit = _asked(folder, "rev-parse", "HEAD")
    if commit is None:
        return {}
    excluded = [
        f":(exclude,icase,glob)**/{pattern}{inside}"
        for pattern in SECRET_FILES
        for inside in ("", "/**")
    ]
    safely = ("--no-ext-diff", "--no-textconv", "--no-color")
    text = _asked(folder, "diff", *safely, "HEAD", "--", ":/", *excluded) or ""
    if len(text) > LONGEST_DIFF:
        left_out = len(text) - LONGEST_DIFF
        text = f"{text[:LONGEST_DIFF]}\n… {left_out} more characters were left out\n"
    branch = _asked(folder, "rev-parse", "--abbrev-ref", "HEAD")
    return {"commit": commit.strip(), "branch": (branch or "").strip(), "diff": text}


def _asked(folder: Path, *arguments: str) -> str | None:
    """Return what git says, None where it is not there or says no; it runs none of its hooks."""
    try:
        done = subprocess.run(  # noqa: S603 - no part of it comes from the study
            ["git", "-c", "core.fsmonitor=false", *arguments],  # noqa: S607 - the user's own git
            cwd=folder, capture_output=True, timeout=GIT_SECONDS, check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
