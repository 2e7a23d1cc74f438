"""Writes what a study holds of its objective into a folder: sources, requirements, a README."""

from __future__ import annotations

import os
import shlex
from pathlib import Path, PurePosixPath

from tinytune import __version__
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
    tinytune replicate {path} --objective {target}

`verify` recomputes each suggestion; `replicate` runs each trial again, with its configuration and
its seed, and compares the results.
"""


def sources(reader: Reader) -> dict[str, Source]:
    """Return the objective's files by their paths, as the last session had them.

    Paths that lead out of the folder, and texts that were not stored, are left out.
    """
    found = {}
    for name, digest in _named(reader).items():
        source = reader.source(digest)
        if source is not None and _is_inside(name):
            found[name] = source
    record = reader.study()
    if not found and record.source_hash is not None:
        source = reader.source(record.source_hash)
        if source is not None and _is_inside(source.name):
            found[source.name] = source
    return found


def target(reader: Reader, files: dict[str, Source]) -> str:
    """Return the objective among its files; TinytuneError if the study holds none."""
    record, around = reader.study(), reader.latest_environment()
    main = around.known.get("main") if around else None
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
    main = target(reader, files)
    around = reader.latest_environment()
    texts = {name: source.text for name, source in files.items()}
    texts["requirements.txt"] = _requirements(around)
    texts["README.md"] = _README.format(
        study=reader.path.name,
        version=__version__,
        path=shlex.quote(os.path.relpath(reader.path.resolve(), folder.resolve())),
        python="unknown" if around is None else around.known.get("python", "unknown"),
        target=shlex.quote(main),
    )
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
