"""Spoilt files, by the thousand: one sentence or an answer; no traceback, no hang, no write."""

import copy
import faulthandler
import json
import random
import signal
import sqlite3
import traceback
from collections import Counter
from contextlib import contextmanager

import pytest

from tests.faults.hostile_files import (
    CONTROL,
    edited,
    full_study,
    loosened,
    read,
    readings,
    snapshot,
    spoken,
)
from tests.shell import LONG
from tinytune.errors import TinytuneError
from tinytune.study import Study

CASES = 2000 if LONG else 150  # of each of the two families, bytes and contents
CASE_SECONDS = 10.0
PAGE = 4096
SIDE_FILES = ("study.db-wal", "study.db-shm")


class HungError(BaseException):
    """A case took too long; no product code may catch it."""


@contextmanager
def patience():
    """Fail a case that hangs. What hangs in C, where no handler runs, ends the whole run."""

    def alarm(number, frame):
        raise HungError

    before = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, CASE_SECONDS)
    faulthandler.dump_traceback_later(6 * CASE_SECONDS, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    return full_study(tmp_path_factory.mktemp("healthy") / "study.db").read_bytes()


# Spoilt bytes. Each takes the bytes and a random generator, and returns other bytes.


def flip_bytes(data, chance):
    spoilt = bytearray(data)
    for _ in range(chance.choice([1, 2, 10, 100])):
        spoilt[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(spoilt)


def flip_bits(data, chance):
    spoilt = bytearray(data)
    for _ in range(chance.choice([1, 1, 3, 30])):
        spoilt[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(spoilt)


def zero(data, chance):
    start = chance.randrange(len(data))
    length = min(len(data) - start, chance.choice([1, 16, 512, PAGE, 3 * PAGE]))
    return data[:start] + bytes(length) + data[start + length :]


def noise(data, chance):
    start = chance.randrange(len(data))
    length = min(len(data) - start, chance.choice([4, 64, 512, PAGE]))
    return data[:start] + chance.randbytes(length) + data[start + length :]


def truncate(data, chance):
    length = chance.randrange(1, len(data))
    return data[: length - length % PAGE or PAGE] if chance.random() < 0.5 else data[:length]


def lengthen(data, chance):
    return data + chance.randbytes(chance.choice([1, 100, PAGE]))


def shift(data, chance):
    start = chance.randrange(len(data))
    return data[:start] + chance.randbytes(chance.choice([1, 7, PAGE])) + data[start:]


def pages(data):
    return [data[start : start + PAGE] for start in range(0, len(data), PAGE)]


def copy_page(data, chance):
    parts = pages(data)
    parts[chance.randrange(len(parts))] = chance.choice(parts)
    return b"".join(parts)


def swap_pages(data, chance):
    parts = pages(data)
    a, b = chance.sample(range(len(parts)), 2)
    parts[a], parts[b] = parts[b], parts[a]
    return b"".join(parts)


def header(data, chance):
    offset, size = chance.choice(
        [(16, 2), (18, 1), (19, 1), (20, 1), (21, 1), (22, 1), (23, 1)]
        + [(offset, 4) for offset in range(24, 72, 4)]
        + [(92, 4), (96, 4)]
    )
    value = chance.choice([0, 1, 2, 3, 5, chance.randrange(256**size), 256**size - 1])
    value = min(value, 256**size - 1)
    return data[:offset] + value.to_bytes(size, "big") + data[offset + size :]


def page_header(data, chance):
    """Spoil the few bytes of a page that say where everything is."""
    start = chance.randrange(len(data) // PAGE) * PAGE or 100
    spoilt = bytearray(data)
    for _ in range(chance.choice([1, 2, 5])):
        spoilt[start + chance.randrange(40)] = chance.choice([0, 1, 2, 5, 10, 13, 128, 255])
    return bytes(spoilt)


SPOILING = (
    flip_bytes, flip_bits, zero, noise, truncate, lengthen, shift, copy_page, swap_pages, header,
    page_header,
)  # fmt: skip


# Spoilt contents: values that no tinytune writes, in a file that SQLite finds in order.

ODD_JSON = (
    None, True, 0, -1, 3, 0.5, 2**63, 10**400, 1e308, -0.0, float("nan"), float("inf"), "", "x",
    "a", "sgd", "\x1b[31m", "\x00", "\ud800", "x" * 3000, [], [1], ["a", "b"], [[]], [None], {},
    {"x": 1},
    {"low": 1}, {"low": "a", "high": 2}, {"name": "x"}, [{"name": "loss"}],
)  # fmt: skip
ODD_CELLS = (
    None, 0, 1, -1, 7, 2**62, 2**63 - 1, -(2**63), 0.5, 1e308, -1e308, float("inf"), float("-inf"),
    1e17, "", "x", "waiting", "running", "complete", "stopped", "failed", "nonsense", "12", "\x00",
    "\x1b]0;title\x07", b"", b"\xff\xfe", b"{}", "{}", "[]", "[[1]]", '"s"', "1", "null", "NaN",
    "-Infinity", '{"a"', '{"x": NaN}', '{"x": 1e999}', '{"x": [1]}', '{"x": null}', '{"y": 1}',
    '{"loss": "a"}', '{"loss": [1]}', '{"parameters": []}', '{"parameters": {}}', '"\\ud800"',
    '{"\\ud800": 1}', '{"x": "\\ud800"}', '{"x": ' + "9" * 4000 + "}", '{"x": ' + "9" * 5000 + "}",
    "[" * 100_000, '{"x":' * 5000 + "1" + "}" * 5000,
)  # fmt: skip
TABLES = (
    "study", "study", "study", "trial", "trial", "trial", "worker", "attempt", "metric", "source",
    "clock", "decision", "lesson",
)  # fmt: skip


def spoil_cell(path, chance):
    """Put an odd value into one to three cells, or whole columns, of any table."""
    with loosened(path) as connection:
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            table = chance.choice(TABLES)
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            value = "CAST(x'c3ff41' AS TEXT)" if chance.random() < 0.05 else "?"  # bad UTF-8
            key = chance.choice([0, 1, 3, 20, 21, 23, 24])
            where = "" if chance.random() < 0.3 else f"WHERE {columns[0]} = {key}"
            try:
                connection.execute(
                    f"UPDATE {table} SET {chance.choice(columns)} = {value} {where}",
                    (chance.choice(ODD_CELLS),) if value == "?" else (),
                )
            except sqlite3.Error:
                continue  # a key that must be unique, or a row's number: no such file can exist


def nodes(document, path=()):
    """Yield the way to every part of a JSON document."""
    yield path
    if isinstance(document, dict):
        for key, value in document.items():
            yield from nodes(value, (*path, key))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from nodes(value, (*path, index))


def spoilt_document(document, chance):
    """Return a JSON document with one part replaced, removed or renamed."""
    document = copy.deepcopy(document)
    *way, last = chance.choice([way for way in nodes(document) if way])
    parent = document
    for key in way:
        parent = parent[key]
    what = chance.random()
    if what < 0.15:
        del parent[last]
    elif what < 0.3 and isinstance(parent, dict):
        parent[chance.choice(["x", "kind", "low", "step", "\x9b", "a b", '"; DROP'])] = parent[last]
    else:
        parent[last] = chance.choice(ODD_JSON)
    return document


DOCUMENTS = (
    ("study", "space", ""), ("study", "space", ""), ("study", "search", ""),
    ("study", "objectives", ""), ("study", "settings", ""), ("study", "objective", ""),
    ("trial", "params", "WHERE number = 3"), ("trial", "params", "WHERE number = 0"),
    ("trial", "results", "WHERE number = 0"),
)  # fmt: skip


def spoil_json(path, chance):
    """Spoil one place inside one JSON text."""
    table, column, where = chance.choice(DOCUMENTS)
    with edited(path) as connection:
        ((text,),) = connection.execute(f"SELECT {column} FROM {table} {where}").fetchall()
        document = json.loads(text)
        for _ in range(chance.choice([1, 1, 2])):
            if any(way for way in nodes(document)):
                document = spoilt_document(document, chance)
        connection.execute(f"UPDATE {table} SET {column} = ? {where}", (json.dumps(document),))


# What is done with each.


def defect_of(action):
    """Return what an action raised that is no sentence of ours, '' if it did well."""
    try:
        with patience():
            action()
    except TinytuneError:
        return ""
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)
        last = next((f for f in reversed(where) if "/tinytune/" in f.filename), where[-1])
        place = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
        return f"{type(error).__name__} at {place}: {str(error)[:60]!r}"
    return ""


def look(name, path):
    command, arguments = readings()[name]
    text = read(command, path, *arguments)
    assert not CONTROL.search(text), "control characters are printed"
    if "json" in name:
        json.loads(text)


def speak(path):
    """Give a command as the shell does; what it says of an error is one line."""
    code, out, errors = spoken("status", path)
    assert code in {0, 1}, f"exit code {code}"
    assert not CONTROL.search(out + errors), "control characters are printed"
    lines = errors.splitlines()
    assert code == 0 or (len(lines) == 1 and lines[0].startswith("tinytune: ")), errors


def work(path):
    with Study(path) as study:
        trial = study.ask()
        if trial is not None:
            trial.report(0, loss=1.0)
            study.tell(trial, 1.0)


def defects_of(path, number):
    """Read a spoilt study in many ways, and now and then work on it too."""
    before = snapshot(path.parent)
    ways = list(readings())[0 if LONG else number % 2 :: 1 if LONG else 2]  # every other, for time
    found = [(name, defect_of(lambda name=name: look(name, path))) for name in ways]
    after = snapshot(path.parent)
    # SQLite itself makes these two, and nothing in them, where the header says there is a log.
    after = {name: data for name, data in after.items() if name not in SIDE_FILES or name in before}
    if after != before:
        changed = {n for n in {*before, *after} if before.get(n) != after.get(n)}
        found.append(("reading", f"changed or created {sorted(changed)}"))
    if number % 10 == 0:  # seldom, since the command line takes long to be built
        found.append(("the shell", defect_of(lambda: speak(path))))
    if number % 3 == 0:
        found.append(("work", defect_of(lambda: work(path))))
    return [(name, text) for name, text in found if text]


def check(kind, count, folder, spoil):
    """Run many cases; the message names each defect once, with a case that shows it."""
    seen, shown = Counter(), {}
    for number in range(count):
        case = folder / f"{number}"
        case.mkdir()
        path = case / "study.db"
        spoil(path, random.Random(f"{kind} {number}"))
        found = defects_of(path, number)
        for name, text in found:
            where = text.partition(": ")[0]
            seen[where] += 1
            shown.setdefault(where, f"with {name}, case {number}: {text}")
        for file in case.iterdir():
            file.unlink()
        case.rmdir()
    lines = [f"{times} times, such as {shown[where]}" for where, times in seen.most_common()]
    assert not lines, "\n".join([f"{len(lines)} defects with {kind}", *lines])


@pytest.mark.parametrize("spoil", SPOILING, ids=[spoil.__name__ for spoil in SPOILING])
def test_spoilt_bytes(tmp_path, healthy, spoil):
    def make(path, chance):
        path.write_bytes(spoil(healthy, chance))

    check(spoil.__name__, -(-CASES // len(SPOILING)), tmp_path, make)


@pytest.mark.parametrize("spoil", [spoil_cell, spoil_json], ids=["cell", "json"])
def test_spoilt_contents(tmp_path, healthy, spoil):
    def make(path, chance):
        path.write_bytes(healthy)
        spoil(path, chance)

    check(spoil.__name__, CASES // 2, tmp_path, make)


def test_the_healthy_study_is_read_and_worked_on(tmp_path, healthy):
    """Without this, the others could be content with nothing but errors."""
    path = tmp_path / "study.db"
    path.write_bytes(healthy)
    for name, (command, arguments) in readings().items():
        assert read(command, path, *arguments), name
    work(path)
    assert defects_of(path, 0) == []
