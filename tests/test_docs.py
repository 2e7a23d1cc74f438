"""What docs/python.md and docs/from-optuna.md show is what happens."""

import re
import subprocess
import sys

from tests.shell import ENVIRONMENT, ROOT


def blocks(name):
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def output_of(folder, code):
    (folder / "page.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-W", "error", "page.py"],
        cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_page_on_python_is_a_program(tmp_path):
    code = "\n".join(block for block in blocks("python.md") if "pandas" not in block)
    told = re.findall(r"^ *print\(.*\)  # (.*)$", code, re.MULTILINE)
    assert len(told) == code.count("print(") > 9
    assert output_of(tmp_path, code) == told
