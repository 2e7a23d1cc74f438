"""Every search suggests the same on every machine: hashes of whole studies, under many settings."""

import json
import os
import subprocess
import sys

import pytest

from tests import golden
from tests.shell import LONG, ROOT
from tests.studies import record, run_all
from tests.test_linear import settings
from tinytune import search
from tinytune.store.writer import create

KNOWN = json.loads(golden.FILE.read_text())
REMEDY = (
    "its suggestions are not those that earlier studies hold: raise its version, then "
    "`python -m tests.golden --write`"
)


def test_every_search_is_known():
    assert list(KNOWN) == golden.names()


@pytest.mark.parametrize("name", KNOWN)
def test_a_search_suggests_what_it_always_did(name):
    assert golden.digest(name) == KNOWN[name], f"{name}: {REMEDY}"


@pytest.mark.parametrize("name", KNOWN)
def test_a_study_is_exact_under_another_setting(tmp_path, name):
    path = tmp_path / "study.db"
    options = search.make(name, {"points": {"x": 3}} if name == "grid" else {})
    made = record(budget=16)._replace(search=search.spec(options))
    assert create(path, made, None, "0")
    run_all(path)
    other = settings()[-1]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("NPY_", "OPENBLAS_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tinytune", "verify", path],
        cwd=ROOT, env={**inherited, **other}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "16 of 16 suggestions recomputed exactly" in done.stdout


# The last one differs most from the usual; what all searches compute with is compared under each.
SETTINGS = settings() if LONG else settings()[-1:]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: " ".join(setting.values()))
def test_other_instructions_and_threads_change_nothing(setting):
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("NPY_", "OPENBLAS_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.golden"],
        cwd=ROOT, env={**inherited, **setting}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == KNOWN
