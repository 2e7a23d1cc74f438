"""Every search suggests the same on every machine: hashes of whole studies, under many settings."""

import json
import os
import subprocess
import sys

import pytest

from tests import golden
from tests.shell import ROOT
from tests.test_linear import settings

KNOWN = json.loads(golden.FILE.read_text())
REMEDY = (
    "its suggestions are not those that earlier studies hold: raise its version, then "
    "`python -m tests.golden --write`"
)


def test_every_search_is_known():
    assert KNOWN.keys() == golden.digests().keys()


@pytest.mark.parametrize("name", KNOWN)
def test_a_search_suggests_what_it_always_did(name):
    assert golden.digest(name) == KNOWN[name], f"{name}: {REMEDY}"


@pytest.mark.parametrize("setting", settings(), ids=lambda setting: " ".join(setting.values()))
def test_other_instructions_and_threads_change_nothing(setting):
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("NPY_", "OPENBLAS_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.golden"],
        cwd=ROOT, env={**inherited, **setting}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == KNOWN
