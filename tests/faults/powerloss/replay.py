"""Rebuilds a directory as a disk could hold it after a power cut, from a log of shim.c.

What the model assumes of a disk and its file system:

- What was written to a file before an fsync (or fdatasync) of it is there, and so is its length.
- Each write and each truncation since then is there or not, whatever became of those before and
  after it. Sectors of 512 bytes are whole; a torn write leaves some of them new and others old.
  A file that grew past a lost write holds zeros there.
- A new name, a removed one and a renaming are there once the directory was synced. Until then each
  is there or not, independently of the others and of the files' contents; an fsync of the file
  says nothing about its name. (Journaling file systems keep these in order, so this is stricter.)
- Bytes that nobody wrote do not change: SQLite calls that "powersafe overwrite", and takes it for
  granted unless told otherwise.
"""

import itertools
import json
import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SECTOR = 512
FEW = 10  # of so few changes, each is once the only one that is missing
HEAD = struct.Struct("<cIQQII")
Directory = dict[str, bytes]


class Record(NamedTuple):
    """One line of the log; the operations are those of shim.c."""

    operation: str
    pid: int
    inode: int
    offset: int
    name: str
    data: bytes


def read_log(path: Path) -> list[Record]:
    """Return the log's records in their order."""
    content, at, records = path.read_bytes(), 0, []
    while at < len(content):
        operation, pid, inode, offset, name_length, length = HEAD.unpack_from(content, at)
        at += HEAD.size
        name, data = content[at : at + name_length], content[at + name_length :][:length]
        at += name_length + length
        records.append(Record(operation.decode(), pid, inode, offset, name.decode(), data))
    return records


@dataclass(eq=False)
class File:
    """An inode: what of it has been synced."""

    durable: bytearray = field(default_factory=bytearray)


@dataclass(eq=False)
class Change:
    """What a disk may have missed: of a file's content, or (with a name) of the directory."""

    file: File | None
    record: Record

    @property
    def is_name(self) -> bool:
        return bool(self.record.name)


# For each pending change, the pieces of it that are there: None for the whole, [] for nothing.
Pieces = list[tuple[int, int]]
Verdict = Pieces | None
NOTHING: Pieces = []


class Disk:
    """A directory while a log is played: what is safe, what is pending, what was promised."""

    def __init__(self) -> None:
        self._inodes: dict[int, File] = {}
        self._names: dict[str, File] = {}
        self.pending: list[Change] = []
        self.promises: list[dict[str, object]] = []

    def play(self, record: Record) -> None:
        """Take in the next record."""
        match record.operation:
            case "C":
                self._inodes[record.inode] = File()
                if record.name:
                    self._add(record)
            case "M":
                self.promises.append(json.loads(record.data))
            case "S":
                file = self._inodes[record.inode]
                self._settle(lambda change: change.file is file and not change.is_name)
            case "D":
                self._settle(lambda change: change.is_name)
            case _:
                self._add(record)

    def directory(self, verdicts: Sequence[Verdict]) -> Directory:
        """Return the files as they are when the pending changes had these fates."""
        contents: dict[File, bytearray] = {}
        names = dict(self._names)
        for change, pieces in zip(self.pending, verdicts, strict=True):
            if not change.is_name:
                if change.file not in contents:
                    contents[change.file] = bytearray(change.file.durable)
                _write(contents[change.file], change.record, pieces)
            elif pieces is None:
                _rename(names, change)
        return {name: bytes(contents.get(file, file.durable)) for name, file in names.items()}

    def _add(self, record: Record) -> None:
        self.pending.append(Change(self._inodes.get(record.inode), record))

    def _settle(self, is_safe: Callable[[Change], bool]) -> None:
        for change in self.pending:
            if not is_safe(change):
                continue
            if change.is_name:
                _rename(self._names, change)
            else:
                _write(change.file.durable, change.record, None)
        self.pending = [change for change in self.pending if not is_safe(change)]


def _rename(names: dict[str, File], change: Change) -> None:
    match change.record.operation:
        case "U":
            names.pop(change.record.name, None)
        case "R":
            names.pop(change.record.data.decode(), None)
            names[change.record.name] = change.file
        case _:
            names[change.record.name] = change.file


def _write(content: bytearray, record: Record, pieces: Verdict) -> None:
    if record.operation == "T":
        if pieces is None:
            del content[record.offset :]
            content.extend(bytes(record.offset - len(content)))
        return
    for begin, end in [(0, len(record.data))] if pieces is None else pieces:
        at = record.offset + begin
        content.extend(bytes(max(0, at - len(content))))
        content[at : at + end - begin] = record.data[begin:end]


def sectors(record: Record) -> Pieces:
    """Return the pieces of a write that lie in one sector each; of anything else, nothing."""
    if record.operation != "W":
        return NOTHING
    length = len(record.data)
    first = -record.offset % SECTOR or SECTOR
    edges = [0, *range(first, length, SECTOR), length]
    return list(itertools.pairwise(edges))


def fates(changes: Sequence[Change], draws: int, chance: random.Random) -> Iterator[list[Verdict]]:
    """Yield ways in which the pending changes may have ended; a few, and random ones."""
    yield [None] * len(changes)
    if not changes:
        return
    yield [NOTHING] * len(changes)
    yield [None if change.is_name else NOTHING for change in changes]
    yield [NOTHING if change.is_name else None for change in changes]
    yield _cut_within(changes, len(changes) - 1, chance)
    if len(changes) <= FEW:
        yield from (_all_but(missing, len(changes)) for missing in range(len(changes)))
    for _ in range(draws):
        yield _cut_within(changes, chance.randrange(len(changes)), chance)
        kept = chance.choice([0.1, 0.5, 0.9])
        yield [_fate(change, kept, chance) for change in changes]


def _all_but(missing: int, count: int) -> list[Verdict]:
    return [NOTHING if at == missing else None for at in range(count)]


def _cut_within(changes: Sequence[Change], last: int, chance: random.Random) -> list[Verdict]:
    """All in order up to one of them, which is torn: some sectors from its beginning."""
    parts = sectors(changes[last].record)
    torn = parts[: chance.randrange(len(parts))] if parts else NOTHING
    return [None] * last + [torn] + [NOTHING] * (len(changes) - last - 1)


def _fate(change: Change, kept: float, chance: random.Random) -> Verdict:
    if chance.random() >= kept:
        return NOTHING
    if chance.random() < 0.75:
        return None
    parts = sectors(change.record)
    return [part for part in parts if chance.random() < 0.5]


def cuts(records: Sequence[Record]) -> Iterator[Disk]:
    """Yield the disk before and after each sync, after each promise, and at the end."""
    disk = Disk()
    for record in records:
        if record.operation in "SD":
            yield disk
        disk.play(record)
        if record.operation in "SDM":
            yield disk
    yield disk


def at_end(records: Sequence[Record]) -> Directory:
    """Return the directory with nothing lost."""
    disk = Disk()
    for record in records:
        disk.play(record)
    return disk.directory([None] * len(disk.pending))
