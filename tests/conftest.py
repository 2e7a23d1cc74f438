"""Settings for all tests."""

import os

import pytest

from tests.shell import ENVIRONMENT

try:
    from hypothesis import settings

    settings.register_profile("tests", derandomize=True, deadline=None)
    settings.load_profile("tests")
except ImportError:
    pass


@pytest.fixture(autouse=True)
def _own_state_folder(monkeypatch):
    """Keep the key of the user who runs the tests out of it."""
    monkeypatch.setitem(os.environ, "XDG_STATE_HOME", ENVIRONMENT["XDG_STATE_HOME"])
