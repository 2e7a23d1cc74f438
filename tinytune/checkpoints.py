"""Checkpoints: what a running trial saves, and what the attempt after a killed one goes on from.

What is small lies in the study's file, what is large beside it. A file is written first and gets
its row then, behind the fence; so whenever a process is killed, each row has its file.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tinytune import beside
from tinytune.beside import UnreadableError
from tinytune.digest import sha256
from tinytune.errors import StudyFileError, UsageError
from tinytune.history import Checkpoint, Continuation, Token
from tinytune.store.reader import Reader
from tinytune.store.writer import Store

INSIDE_BYTES = 1 << 20  # what is not larger is kept in the study's file
SYNC_SECONDS = 1.0  # small ones are fsynced at most so often: each fsync may take 0.1 s
LONGEST_SUFFIX = 17  # characters with the dot
_GOING_ON = ("waiting", "running", "paused")  # states of trials that may load what they have saved

State: TypeAlias = bytes | Path


@dataclass(frozen=True)
class Keeping:
    """Where checkpoints lie, and whether they stay when their trial has ended."""

    folder: Path | None = None  # None: beside the study's file
    after_the_end: bool = False

    def __post_init__(self) -> None:
        places = () if self.folder is None else (self.folder, *self.folder.absolute().parents)
        there = next((place for place in places if os.path.lexists(place)), None)
        if there is not None and not os.path.isdir(there):  # noqa: PTH112 - Path.is_dir may raise
            raise UsageError(
                f"checkpoints cannot lie in {self.folder}: {there} is no folder; name a folder"
            )

    def to_json(self) -> list[object]:
        """Return it as JSON."""
        return [None if self.folder is None else str(self.folder.absolute()), self.after_the_end]

    @classmethod
    def from_json(cls, found: list[Any]) -> Keeping:
        """Return what `to_json` has written."""
        folder, after_the_end = found
        return cls(None if folder is None else Path(folder), after_the_end)


BESIDE = Keeping()


class Checkpoints:
    """What the trials of one study save, as far as this process runs them."""

    def __init__(self, study: Path, created: float, how: Keeping) -> None:
        """Take the study's path, and when it was created, in Unix seconds."""
        self._root = beside.root(study) if how.folder is None else how.folder.absolute()
        self._created = created
        self._stay = how.after_the_end
        self._loaded: dict[Token, Checkpoint] = {}
        self._synced = -math.inf  # by time.monotonic()
        self._lock = threading.Lock()  # an objective's threads may save at once

    def folder(self, number: int, params: Mapping[str, object]) -> Path:
        """Return the folder of a trial, which need not be there."""
        return beside.folder(self._root, self._created, number, params)

    def save(self, store: Store, token: Token, folder: Path, state: State) -> None:
        """Keep a state, and the one before it. LeaseLostError if the trial was taken away.

        UsageError where there is no such file or folder; StudyFileError where it cannot be written.
        """
        with self._lock:
            try:
                kept = self._save(store, token, folder, state)
            except UnreadableError as error:
                raise UsageError(f"save: {error}") from error
            if folder.is_dir():
                beside.tidy(folder, {*map(_name, kept), *self._copies(token)})

    def _save(self, store: Store, token: Token, folder: Path, state: State) -> list[Checkpoint]:
        kind: Literal["bytes", "file", "folder"] = "bytes"
        suffix, content = "", state
        if isinstance(state, Path):
            if beside.is_folder(state):
                kind = "folder"
            else:
                kind, suffix = "file", _suffix(state)
                content = beside.read(state, INSIDE_BYTES, is_ours=False)
        if isinstance(content, bytes) and len(content) <= INSIDE_BYTES:
            # Where a file is about to be removed, its row must not come back after a power loss.
            durable = folder.is_dir() or time.monotonic() - self._synced >= SYNC_SECONDS
            known = (kind, suffix, len(content), sha256(content), content)
            kept = store.save(token, *known, durable=durable)
            self._synced = time.monotonic() if durable else self._synced
            return kept
        sequence = store.next_save(token)
        name = f"{token.attempt}-{sequence}{suffix}"
        size, hashed = beside.put(folder, name, state)
        try:
            return store.save(token, kind, suffix, size, hashed)
        finally:
            if store.next_save(token) == sequence:  # there is no row for it
                beside.remove(folder / name)
                beside.leave(folder)

    def load(
        self, store: Store, token: Token, folder: Path
    ) -> tuple[State | None, Continuation | None]:
        """Return the newest state that is whole, and how the attempt went on, if it is only now.

        A file or folder is a copy for this attempt alone. LeaseLostError if the trial was taken
        away.
        """
        before = self._loaded.get(token)
        found = store.checkpoints(token.number) if before is None else [before]
        for saved in found:
            try:
                state = _state(store, saved, folder, token)
            except UnreadableError as error:
                _say(f"trial {token.number}: {error}")
                continue
            if before is not None:
                return state, None
            went = store.go_on(token, saved)
            self._loaded[token] = saved
            return state, went
        if found:
            _say(f"trial {token.number} begins anew: none of its checkpoints can be used")
        return None, None

    def clear(self, token: Token, folder: Path) -> None:
        """Remove what lies beside the file of a trial that has ended, unless it is to stay."""
        self._loaded.pop(token, None)
        if not folder.is_dir():
            return
        if self._stay:
            for name in self._copies(token):
                beside.remove(folder / name)
        else:
            beside.drop(folder)

    def sweep(self, reader: Reader, since: int) -> None:
        """Remove the folders of trials that somebody else has ended after a tick."""
        folders: list[Path] = []
        with suppress(OSError):
            folders = list(self._root.iterdir())
        for folder in folders:
            number = beside.number_of(folder)
            trial = None if number is None else reader.trial(number)
            if trial is None or trial.told is None or trial.told <= since or self._stay:
                continue
            is_over = trial.state != "paused"
            if is_over and folder == self.folder(trial.number, trial.params or {}):
                beside.drop(folder)

    def _copies(self, token: Token) -> list[str]:
        saved = self._loaded.get(token)
        return [] if saved is None else [_copy_name(token, saved)]


def copy_beside(study: Path, output: Path, folder: Path | None) -> tuple[int, list[int]]:
    """Copy what lies beside a study to its copy's place; `folder` is where it lies, if elsewhere.

    Returns of how many trials there was something, and those of which nothing is there.
    """
    source = beside.root(study) if folder is None else folder
    target = beside.root(output)
    if source.is_dir():
        beside.copy_all(source, target)
    there: dict[int, bool] = {}
    with Reader(output) as reader:
        for saved, is_there in _beside(reader, target):
            there[saved.trial] = there.get(saved.trial, False) or is_there
    return len(there), [number for number, is_there in there.items() if not is_there]


def missing_beside(reader: Reader, folder: Path | None) -> list[int]:
    """Return the trials that would go on from a file beside the study that is not there.

    `folder` is where the files lie, if elsewhere.
    """
    root = beside.root(reader.path) if folder is None else folder
    missing = [saved for saved, is_there in _beside(reader, root) if not is_there]
    if not missing:
        return []
    still = reader.checkpoints_beside()  # a worker may have saved again: rows go before files
    trials = {saved.trial for saved in missing if saved in still}
    going_on = {trial.number for trial in reader.trials() if trial.state in _GOING_ON}
    return sorted(trials & going_on)


def _beside(reader: Reader, root: Path) -> list[tuple[Checkpoint, bool]]:
    """Return what was saved beside a study's file, and whether it is there."""
    created = reader.study().created
    found = []
    for saved in reader.checkpoints_beside():
        trial = reader.trial(saved.trial)
        params = {} if trial is None else trial.params or {}
        path = beside.folder(root, created, saved.trial, params) / _name(saved)
        found.append((saved, os.path.lexists(path)))
    return found


def refuse_leftover(output: Path) -> None:
    """Raise StudyFileError where the checkpoints of another study lie beside a new file's place."""
    if beside.root(output).exists():
        raise StudyFileError(
            f"{beside.root(output)} exists already: name another file, or move it away"
        )


class Folder:
    """The folder of one trial, which few trials use: its name is made when it is asked for."""

    def __init__(self, of: Checkpoints, number: int, params: Mapping[str, object]) -> None:
        self._of, self._number = of, number
        self._params = dict(params)  # the objective may change its own
        self._path: Path | None = None

    @property
    def is_known(self) -> bool:
        """Whether anybody has asked for it: otherwise nothing of this attempt lies there."""
        return self._path is not None

    def path(self) -> Path:
        """Return its path; it need not be there."""
        if self._path is None:
            self._path = self._of.folder(self._number, self._params)
        return self._path


def _state(store: Store, saved: Checkpoint, folder: Path, token: Token) -> State:
    """Return what was saved; UnreadableError where it is not there, or not what it was."""
    source: State = folder / _name(saved)
    if not saved.is_beside:
        content = store.content(saved)
        if content is None:
            raise UnreadableError("its checkpoint is gone")
        source = content
    if saved.kind == "bytes":
        found = source if isinstance(source, bytes) else beside.read(source, is_ours=True)
        _check(saved, sha256(found))
        return found
    target = folder / _copy_name(token, saved)
    _check(saved, beside.take_out(source, target))
    return target


def _check(saved: Checkpoint, hashed: str) -> None:
    if hashed != saved.sha256:
        raise UnreadableError(f"its checkpoint of attempt {saved.attempt} is not what was saved")


def _name(saved: Checkpoint) -> str:
    return f"{saved.attempt}-{saved.sequence}{saved.suffix}"


def _copy_name(token: Token, saved: Checkpoint) -> str:
    return f"loaded-{token.attempt}{saved.suffix}"


def _suffix(path: Path) -> str:
    """Return the ending of a file's name, which libraries look at; none where it is odd."""
    suffix = path.suffix
    plain = suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= LONGEST_SUFFIX
    return suffix if plain else ""


def _say(text: str) -> None:
    sys.stderr.write(f"tinytune: {text}\n")
