"""What docs/python.md and docs/from-optuna.md show is what happens."""

import re
import shlex
import sqlite3
import subprocess
import sys

import tinytune
from tests.faults.hostile_files import spoken
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


SETTING = """
from typing import Annotated

import tinytune
from tinytune import Between, Choice, Float, Int, importance


@tinytune.trial(minimize="loss")
def train(lr: Annotated[float, Float(0.01, 1.0, log=True)] = 0.1, steps: int = 3) -> float:
    for step in range(steps):
        tinytune.report(step, loss=(lr - 0.3) ** 2)
    return (lr - 0.3) ** 2
"""


class Plots:
    """Stands for matplotlib.pyplot and pandas, which the tests do without."""

    def __getattr__(self, name):
        def take(*arguments):
            for argument in arguments:
                assert argument is not None

        return take


def right_of(name):
    """Return the pieces of code in the last column of a page's tables."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "<pre>" not in line]
    columns = [row.removesuffix(" |").rsplit(" | ", 1)[1] for row in rows]
    return [piece for column in columns for piece in re.findall(r"`([^`]+)`", column)]


def test_what_stands_beside_optunas_words_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "objective.py").write_text(SETTING)
    known = {"plt": Plots(), "pandas": Plots(), "sqlite3": sqlite3}
    exec(compile(SETTING, tmp_path / "objective.py", "exec"), known)
    known["train"].tune("study.db", search="tpe", trials=19)
    ran = []
    for piece in right_of("from-optuna.md"):
        words = shlex.split(piece) if piece.startswith("tinytune ") else []
        if words:
            code, _, errors = spoken(*words[1:])
            assert code == 0, f"{piece}: {errors}"
        elif re.fullmatch(r"[\w-]+(=\S+)?(\(\S+\))?", piece):  # a word, an argument or a rule
            continue
        elif re.search(r"(?<![.\w])(study|trial)\.(?!db)", piece):
            with tinytune.open("study.db") as study:
                study.add({"lr": 0.2})
                exec(piece, {**known, "study": study, "trial": study.ask()})
        else:
            exec(piece, known)
        ran.append(piece)
    assert len(ran) > 50
