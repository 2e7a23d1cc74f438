"""Writes what a study holds of its objective into a folder: sources, requirements, a README."""

from __future__ import annotations

import os
import shlex
from pathlib import Path, PurePosixPath

from tinytune import __version__
from tinytune.command import CommandObjective, check_program
from tinytune.errors import TinytuneError, UsageError
from tinytune.history import Environment, Source
from tinytune.store.reader import Reader

_README = """\
# The objective of {study}

These files were stored in the study when it ran, on Python {python}. Look at them before you run
them: they are whatever the author of the study wrote. Files of data that they read are not stored:
put them where the code looks for them. The commands are meant for this folder.

    python -m venv .venv && . .venv/bin/activate
    pip install tinytune=={version} -r requirements.txt
    tinytune verify {path}
    tinytune replicate {path} {how}

`verify` recomputes each suggestion; `replicate` runs each trial again, with its configuration and
its seed, and compares the results.
"""
_COMMAND = """
The objective is a command. `replicate` runs it in the folder from which you start that, with the
script that the study holds:

    {command}
"""


def sources(reader: Reader) -> dict[str, Source]:
    """Return the objective's files by their paths, as the last session had them.

    Paths that lead out of the folder, and texts that were not stored, are left out.
    """
    found = {}
    record = reader.study()
    script = None if record.objective.command is None else _main(reader)
    for name, digest in _named(reader).items():
        source = reader.source(digest)
        if source is not None and (_is_inside(name) or (name == script and _is_plain(name))):
            found[name] = source
    if not found and record.source_hash is not None:
        source = reader.source(record.source_hash)
        if source is not None and _is_inside(source.name):
            found[source.name] = source
    return found


def stored_command(reader: Reader, files: dict[str, Source], folder: Path) -> CommandObjective:
    """Return a study's command, to be run here, with its script from a folder of its files.

    A command without a script, or whose script's text the study does not hold, is as it was.
    """
    record, script = reader.study(), _main(reader)
    command = record.objective.command
    assert command is not None  # noqa: S101 - whoever asks has looked
    arguments = list(command.arguments)
    for number, argument in enumerate(arguments):
        if script is None or script not in files:
            break
        is_it = PurePosixPath(argument).name == script and "{" not in argument
        if is_it and not argument.startswith("-"):
            path = (folder / script).resolve()
            path.chmod(0o700)  # it may be the program itself
            arguments[number] = str(path).replace("{", "{{").replace("}", "}}")
            break
    made = command._replace(arguments=tuple(arguments))
    check_program(made, Path.cwd())
    return CommandObjective(made, Path.cwd(), record.space, record.goals, record.subject_to)


def target(reader: Reader, files: dict[str, Source]) -> str:
    """Return the objective among its files; TinytuneError if the study holds none."""
    record = reader.study()
    main = _main(reader)
    known = next((name for name in files if files[name].hash == record.source_hash), None)
    name = main if main in files else known
    if name is None:
        raise TinytuneError(
            "the study holds no source of its objective: name the file with --objective"
        )
    module = PurePosixPath(name).with_suffix("").as_posix().removesuffix("/__init__")
    if record.objective.module == module.replace("/", "."):  # then its files import each other so
        name = record.objective.module
    return f"{name}:{record.objective.function}"


def write(reader: Reader, folder: Path) -> list[Path]:
    """Write everything into a new or empty folder, and return what was written."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there and not an empty folder: name another one")
    files = sources(reader)
    command = reader.study().objective.command
    how = "--trust-code"
    if command is None:
        how = f"--objective {shlex.quote(target(reader, files))}"
    around = reader.latest_environment()
    texts = {name: source.text for name, source in files.items()}
    texts["requirements.txt"] = _requirements(around)
    texts["README.md"] = _README.format(
        study=reader.path.name,
        version=__version__,
        path=shlex.quote(os.path.relpath(reader.path.resolve(), folder.resolve())),
        python="unknown" if around is None else around.known.get("python", "unknown"),
        how=how,
    )
    if command is not None:
        texts["README.md"] += _COMMAND.format(command=command.text)
    if around is not None and around.known.get("diff"):
        commit = around.known.get("commit", "unknown")
        texts["uncommitted.diff"] = f"commit {commit}\n{around.known['diff']}"
    return write_texts(texts, folder)


def missing(reader: Reader) -> list[str]:
    """Return the objective's files whose text the study does not hold."""
    return sorted(set(_named(reader)) - set(sources(reader)))


def _named(reader: Reader) -> dict[str, str]:
    """Return the objective's files and their hashes, as the last session had them."""
    around = reader.latest_environment()
    files: dict[str, str] = around.known.get("files", {}) if around else {}
    return files


def _main(reader: Reader) -> str | None:
    """Return the name of the objective's own file, or of a command's script, None if there is none.

    As the last session had it.
    """
    around = reader.latest_environment()
    name: str | None = None if around is None else around.known.get("main")
    return name if isinstance(name, str) else None


def write_texts(texts: dict[str, str], folder: Path) -> list[Path]:
    """Write texts by their paths below a folder; TinytuneError where that cannot be."""
    written = []
    for name, text in texts.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:  # a name may be too long, or be a file's and a folder's
            raise TinytuneError(
                f"{path} cannot be written ({error.strerror}): name another folder"
            ) from error
        written.append(path)
    return written


def _is_plain(name: str) -> bool:
    """Return whether a script's name is that of a file and no more; nothing hidden is written."""
    is_name = name.isprintable() and not any(letter in name for letter in "/\\:~")
    return is_name and bool(name) and not name.startswith((".", "-"))


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return (
        bool(path.parts)
        and not path.is_absolute()
        and all(part not in {"..", "~"} and part.isprintable() for part in path.parts)
        and not any(letter in name for letter in ":\\")
        and path.suffix == ".py"
    )


def _requirements(around: Environment | None) -> str:
    lines = [f"# tinytune {__version__} wrote this; the study's packages were:"]
    packages = {} if around is None else around.known.get("packages", {})
    for name, version in packages.items():
        comment = "# " if name == "tinytune" else ""
        lines.append(f"{comment}{name}=={version}".replace("\n", " "))
    return "\n".join(lines) + "\n"
