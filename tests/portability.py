"""Compares the golden hashes under every Python that is found here, with old and new numpy.

    python -m tests.portability

Each pair gets a virtual environment of its own; what cannot be installed is named and left out.
`make portability` runs it.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import golden
from tests.shell import ROOT
from tests.test_linear import HASH

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
NUMPY = ("numpy==2.0.*", "numpy==2.2.*", "numpy")  # the oldest that is supported … the newest


def pythons() -> dict[str, str]:
    """Return an interpreter for each version that is on the path or in pyenv."""
    found = {}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in VERSIONS:
        own = sorted(pyenv.glob(f"{version}.*/bin/python"))
        place = str(own[-1]) if own else shutil.which(f"python{version}")
        if (
            place
            and subprocess.run([place, "-c", ""], check=False, capture_output=True).returncode == 0
        ):
            found[version] = place
    return found


def said(python: Path, module: str) -> dict[str, object]:
    done = subprocess.run(
        [python, "-m", module], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def compare(version: str, place: str, numpy: str, folder: Path) -> bool:
    """Return whether all bits are the same; True, with a note, where it cannot be installed."""
    subprocess.run([place, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    packages = ["--only-binary", ":all:", numpy, "sqlite-utils", "typer", "tabulate"]
    if subprocess.run([*pip, *packages], check=False, capture_output=True).returncode:
        print(f"Python {version}, {numpy}: cannot be installed here")
        return True
    asked = "import numpy; print(numpy.__version__)"
    has = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True)
    same = (
        said(python, "tests.golden") == json.loads(golden.FILE.read_text())
        and said(python, "tests.portable_bits")["hashes"]["all"] == HASH
    )
    print(
        f"Python {version}, numpy {has.stdout.strip()}: {'the same bits' if same else 'OTHER BITS'}"
    )
    return same


def main() -> None:
    good = True
    for version, place in pythons().items():
        for numpy in NUMPY:
            with tempfile.TemporaryDirectory() as folder:
                good &= compare(version, place, numpy, Path(folder))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
