"""A power cut at any moment: the study opens, is sound, and has every result that was told.

A process works on a study while powerloss/shim.c records its writes and syncs; powerloss/replay.py
(which says what is assumed of a disk) rebuilds what a disk could hold after a cut before and after
each sync. TINYTUNE_LONG=1 tries many more of the possible states.
"""

import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults.powerloss import replay, victim
from tests.shell import ENVIRONMENT, LONG, PATIENCE_SECONDS
from tinytune.errors import TinytuneError
from tinytune.store.reader import Reader
from tinytune.study import Study

HERE = Path(__file__).parent / "powerloss"
MEMORY = Path("/dev/shm")  # where recoveries, which sync, cost nothing
FINISH_EVERY = 25 if LONG else 60  # so many states are there to one that is worked on to its end

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None or sys.platform != "linux",
    reason="the recording library needs Linux and a C compiler (cc)",
)


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-o", library, HERE / "shim.c", "-ldl"]
    subprocess.run(command, check=True, timeout=PATIENCE_SECONDS)
    return library


def run_victims(folder, shim, plan, *options, count=1):
    """Record processes that work on one study; return the log and the directory they left."""
    live, log = folder / "live", folder / "log"
    live.mkdir()
    environment = {
        **ENVIRONMENT,
        "LD_PRELOAD": str(shim),
        "POWERLOSS_DIR": str(live),
        "POWERLOSS_LOG": str(log),
    }
    command = [sys.executable, HERE / "victim.py", live / "study.db", plan, *options]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    working = [subprocess.Popen(command, env=environment, **pipes) for _ in range(count)]
    for process in working if plan == "share" else ():
        assert process.stdout.readline() == "ready\n"
    for process in working:  # go, all at once
        process.stdin.write("\n")
        process.stdin.flush()
    for process in working:
        process.communicate(timeout=PATIENCE_SECONDS)
    assert [process.returncode for process in working] == [0] * count
    return replay.read_log(log), files_of(live)


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix[-4:] != "-shm"}


@dataclass
class Findings:
    """What was wrong in the states that were tried."""

    states: int = 0
    wrong: Counter = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, kind, where):
        self.wrong[kind] += 1
        self.examples.setdefault(kind, where)


def try_states(records, draws):
    """Look at states that each cut could leave, none of them twice."""
    chance, seen, found = random.Random(7), set(), Findings()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        for cut, disk in enumerate(replay.cuts(records)):
            for verdicts in replay.fates(disk.pending, draws, chance):
                state = disk.directory(verdicts)
                key = digest(state, len(disk.promises))
                if key in seen:
                    continue
                seen.add(key)
                found.states += 1
                path = lay_out(state, Path(folder, "state"))
                for kind in examine(path, disk.promises, finish=found.states % FINISH_EVERY == 0):
                    found.add(kind, f"state {found.states}, cut {cut}, {sorted(state)}")
    return found


def digest(state, promises):
    whole = hashlib.sha1(str(promises).encode())
    for name, content in sorted(state.items()):
        whole.update(f"{name} {len(content)} ".encode())
        whole.update(content)
    return whole.digest()


def lay_out(state, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in state.items():
        (folder / name).write_bytes(content)
    return folder / "study.db"


def examine(path, promises, *, finish):
    """Yield in a few words each thing that is wrong with a state."""
    if not path.exists():
        if promises:
            yield "the study is gone"
        return
    try:
        with Reader(path) as reader:
            yield from unsound(reader)
            yield from broken_promises(reader, promises)
        if finish:
            yield from unfinished(path)
    except TinytuneError as error:
        yield f"refused: {str(error).removeprefix(str(path))}"


def unsound(reader):
    if reader._db.all("PRAGMA integrity_check") != [("ok",)]:
        yield "integrity_check"
    if reader._db.all("PRAGMA foreign_key_check"):
        yield "foreign_key_check"
    trials = reader.trials()
    if [trial.number for trial in trials] != list(range(len(trials))):
        yield "numbers"


def broken_promises(reader, promises):
    trials = {trial.number: trial for trial in reader.trials("complete")}
    for number in (promise["trial"] for promise in promises if "trial" in promise):
        trial = trials.get(number)
        if trial is None:
            yield "lost trial"
        elif trial.value != victim.value_of(number):
            yield "lost value"
        elif reader.curves(trial) != {"loss": victim.curve_of(number)}:
            yield "lost reports"
    budgets = [promise["budget"] for promise in promises if "budget" in promise]
    if budgets and reader.study().budget < budgets[-1]:
        yield "lost budget"


def unfinished(path):
    """Work on a study to its end."""
    with Study(path) as study:
        while not study.is_over() or study.progress.ended < study.record.budget:
            trial = study.ask()
            study.tell(trial, victim.value_of(trial.number))
        if study.progress.ended != study.record.budget:
            yield "not finished"
    if [*files_of(path.parent)] != [path.name]:
        yield "files left over"


def syncs_of_study(records):
    """Return how often the study's file itself was synced."""
    [inode, *_] = [r.inode for r in records if r.operation == "L" and r.name == "study.db"]
    return sum(r.operation == "S" and r.inode == inode for r in records)


# Plan, options, processes, and for a short and a long run: how often the fates of the unsynced
# writes are drawn at each cut (two kinds each time), and the fewest states that this must give.
VARIANTS = {
    "log": ("whole", (), 1, (8, 400), (250, 4000)),
    "rollback": ("whole", ("rollback",), 1, (0, 100), (300, 4000)),
    "two": ("share", (), 2, (8, 400), (250, 4000)),
    "two in rollback": ("share", ("rollback",), 2, (0, 100), (300, 4000)),
}


@pytest.fixture(scope="module", params=VARIANTS)
def tried(request, shim, tmp_path_factory):
    """A variant's name, and what was found in its states."""
    plan, options, count, draws, least = VARIANTS[request.param]
    records, left = run_victims(tmp_path_factory.mktemp(plan), shim, plan, *options, count=count)
    assert replay.at_end(records) == left  # no write has escaped the record
    assert syncs_of_study(records) >= 5  # checkpoints, or commits in rollback mode
    found = try_states(records, draws[LONG])
    print(f"{request.param}: {len(records)} records, {found.states} states")
    assert found.states >= least[LONG]
    return request.param, found


def test_after_a_power_cut_the_study_opens_and_is_sound(tried):
    _, found = tried
    assert not [kind for kind in found.wrong if not kind.startswith("lost")], found


def test_after_a_power_cut_all_that_was_promised_is_there(tried):
    _, found = tried
    assert not [kind for kind in found.wrong if kind.startswith("lost")], found


def test_the_harness_notices_results_that_are_not_synced(tmp_path, shim):
    records, _ = run_victims(tmp_path, shim, "whole", "careless")
    assert try_states(records, draws=1).wrong["lost trial"]
