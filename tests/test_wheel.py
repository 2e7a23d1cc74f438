"""The built wheel holds the schema, and works in an environment of its own."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel as a release builds it: from the source archive, not from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_has_the_schema_and_the_type_marker(wheel):
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("tinytune/schema.sql") == (ROOT / "schema.sql").read_bytes()
        assert "tinytune/py.typed" in archive.namelist()
        assert not [name for name in archive.namelist() if name.startswith("tests")]


def test_the_wheel_creates_a_study_in_a_new_environment(wheel, tmp_path):
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    (tmp_path / "train.py").write_text(
        "import tinytune\n@tinytune.trial(space={'x': tinytune.Float(0, 1)})\n"
        "def train(x=0.5): return x\n"
    )
    run = ["run", "train.py", "--trials", "3", "--workers", "2"]
    for command in (run, ["best", "study.db"]):
        done = subprocess.run(
            [str(environment / "bin" / "tinytune"), *command],
            cwd=tmp_path, env={"PATH": "/usr/bin"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "study.db").exists()
