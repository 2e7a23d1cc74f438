"""Imports point downwards, SQL stays where it belongs, and modules stay small."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "tinytune"
MODULES = sorted(PACKAGE.rglob("*.py"))


def module_name(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


# From the bottom up; a module imports from lower rows only, or from its own package, all of which
# is in one row.
ROWS = [
    {"errors"},
    {"schema", "portable", "digest", "process", "expression", "files", "trust", "frozen"},
    {"draw", "bounds", "named", "beside", "pace", "queue", "student", "pareto", "requirement"},
    {"distributions", "recipes", "arguments"},
    {"space"},
    {"points", "history", "db", "notation"},
    {"context"},
    {"objective", "loop", "timeline"},
    {"integrations"},
    {"keeper", "repeated", "meter", "settle"},
    {"printed"},
    {"group"},
    {"command"},
    {"search", "stopping"},
    {"store"},
    {"lease", "limits"},
    {"learn", "referee", "checkpoints", "confirm", "preference"},
    {"difference"},
    {"study", "loading"},
    {"environment"},
    {"testing"},
    {"capture"},
    {"worker"},
    {"child"},
    {"supervisor"},
    {"rules", "budget"},
    {"changing"},
    {"agreed"},
    {"session"},
    {"bench"},
    {"verify_pauses", "savings", "importance"},
    {"verify_stops"},
    {"check", "verify", "replicate", "extract", "contrast"},
    {"merge"},
    {"output"},
    {"decorator"},
    {"cli"},
    {"", "__main__"},
]
PACKAGE_ROW = {name: row for row, names in enumerate(ROWS) for name in names}
ROW = {name: PACKAGE_ROW[name.split(".")[0]] for name in map(module_name, MODULES)}


def imported(path):
    """Yield the tinytune modules that a file imports, for typing or for real."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tinytune":
            base = node.module.removeprefix("tinytune").removeprefix(".")
            for alias in node.names:
                below = f"{base}.{alias.name}".removeprefix(".")
                if alias.name != "__version__":
                    yield below if below in ROW else base
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "tinytune":
                    yield alias.name.removeprefix("tinytune").removeprefix(".")


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_point_downwards(path):
    name = module_name(path)
    for other in imported(path):
        same_package = name.split(".")[0] == other.split(".")[0]
        assert ROW[other] < ROW[name] or (ROW[other] == ROW[name] and same_package), (
            f"{name or '__init__'} imports {other}, which is not below it"
        )


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_searches_know_no_files_processes_clocks_or_environment(path):
    if module_name(path).split(".")[0] != "search":
        return
    forbidden = {"sqlite3", "os", "time", "datetime", "random", "secrets", "pathlib", "threading"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert forbidden.isdisjoint(name.split(".")[0] for name in names)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_sql_and_its_errors_stay_where_they_belong(path):
    text = path.read_text(encoding="utf-8")
    name = module_name(path)
    if name.split(".")[0] not in {"store", "schema"}:
        assert not re.search(r"\b(SELECT .* FROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b", text)
    if name != "db":
        assert "PRAGMA" not in text
        assert "sqlite3.Error" not in text


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_modules_stay_small(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_nothing_is_evaluated_or_unpickled(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    called = {
        n.func.id
        for n in ast.walk(tree)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    assert called.isdisjoint({"eval", "exec", "compile", "__import__"})
    text = path.read_text(encoding="utf-8")
    assert not re.search(
        r"^\s*(import|from) (pickle|marshal|shelve|dill|cloudpickle)\b", text, re.MULTILINE
    )
