"""Settings for all tests."""

import compileall
import os

import pytest

from tests.shell import ENVIRONMENT, ROOT

try:
    from hypothesis import settings

    settings.register_profile("tests", derandomize=True, deadline=None)
    settings.load_profile("tests")
except ImportError:
    pass


def pytest_configure(config):
    """Compile tinytune once, for the hundreds of processes that the tests start.

    They take twice as long to start where PYTHONDONTWRITEBYTECODE keeps each from leaving its
    bytecode for the next.
    """
    if not hasattr(config, "workerinput"):  # xdist's
        compileall.compile_dir(ROOT / "tinytune", quiet=2)


@pytest.fixture(autouse=True)
def _own_state_folder(monkeypatch):
    """Keep the key of the user who runs the tests out of it."""
    monkeypatch.setitem(os.environ, "XDG_STATE_HOME", ENVIRONMENT["XDG_STATE_HOME"])
