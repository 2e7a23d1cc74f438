"""Runs the commands that the documents show, so that what they show is what happens.

The documents are written by cog (`make docs`) and checked by it (`make lint`). Durations differ
from run to run and are left out.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(tempfile.mkdtemp(prefix="tinytune-docs-"))


def show(command: str, code: int = 0) -> None:
    """Print a command, as typed in one folder that all commands share, and what it prints.

    `code` is the exit code that it must have.
    """
    if not (FOLDER / "examples").exists():  # `end` was called, for another document
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / "examples").symlink_to(ROOT / "examples")
    words = shlex.split(command)
    if words[0] == "tinytune":
        words[:1] = [sys.executable, "-m", "tinytune"]
    elif words[0] == "sqlite3":
        words = [sys.executable, str(ROOT / "docs" / "sqlite_shell.py"), *words[1:]]
    done = subprocess.run(
        words,
        cwd=FOLDER,
        env={**os.environ, "COLUMNS": "88", "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(FOLDER)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != code:
        raise SystemExit(f"{command} ended with {done.returncode}: {done.stdout}")
    text = re.sub(r"after [\d.]+ s", "after … s", done.stdout)
    print(f"```console\n$ {command}\n{_without_seconds(text).strip(chr(10))}\n```")


def source(path: str) -> None:
    """Print a file of the repository, without its module's docstring."""
    text = (ROOT / path).read_text(encoding="utf-8")
    code = text.split('"""', 2)[2].strip()
    print(f"```python\n{code}\n```")


def end() -> None:
    """Remove what the commands wrote."""
    shutil.rmtree(FOLDER, ignore_errors=True)


def _without_seconds(text: str) -> str:
    """Cut a table's last column if it is the one that differs from run to run."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.endswith("seconds"):
            rule = lines[number + 1]
            width = rule.rindex(" -") if " -" in rule else len(rule)
            lines[number:] = [row[:width].rstrip() for row in lines[number:]]
            break
    return "\n".join(lines)


def commands() -> None:
    """Print the table of commands from their own help."""
    print("| command | what it does |\n| --- | --- |")
    for name, usage in _USAGES.items():
        sentence = " ".join(_help(name).split("\n\n")[1].split())
        print(f"| `{f'tinytune {name} {usage}'.strip()}` | {sentence} |")


def help_of_all() -> None:
    """Print every command's whole help."""
    for name in _USAGES:
        print(f"## tinytune {name}\n\n```text\n{_help(name).strip()}\n```\n")


def _help(name: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "tinytune", name, "--help"],
        env={**os.environ, "COLUMNS": "88", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


_USAGES = {
    "run": "TARGET",
    "resume": "STUDY",
    "best": "STUDY",
    "confirm": "STUDY",
    "trials": "STUDY",
    "show": "STUDY NUMBER",
    "status": "STUDY",
    "logs": "STUDY NUMBER",
    "tag": "STUDY NUMBER WORD…",
    "note": "STUDY [NUMBER] TEXT",
    "remove": "STUDY NUMBER…",
    "set": "STUDY",
    "widen": "STUDY NAME=LOW..HIGH…",
    "searches": "",
    "stoppings": "",
    "stopping-report": "STUDY",
    "importance": "STUDY",
    "verify": "STUDY",
    "replicate": "STUDY",
    "extract": "STUDY DIR",
    "diff": "A.db B.db",
    "add": "STUDY NAME=VALUE…",
    "ask": "STUDY",
    "tell": "STUDY NUMBER VALUE",
    "pack": "STUDY -o FILE",
    "merge": "A.db B.db… -o FILE",
    "retry": "STUDY [NUMBER…]",
    "release": "STUDY",
    "check": "STUDY",
}
