"""Kills tinytune's processes at random moments, and compares the file with the objectives' record.

    python -m tests.faults.kills --kills 1000

`make torture` runs it; tests/faults/test_torture.py runs a short version.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.objective import REPORTS, value
from tests.shell import ROOT, children, start, tinytune
from tinytune.store.reader import Reader

OBJECTIVE = ROOT / "tests" / "faults" / "objective.py"
WORKERS = 4
GIVE_UP_SECONDS = 300
RESTART_SECONDS = 3  # a command that was killed so recently may still be starting anew


@dataclass
class Line:
    what: str
    pid: int
    moment: float
    trial: int
    facts: list[str]


@dataclass
class Outcome:
    """What a torture found; every list should be empty."""

    kills: int = 0
    trials: int = 0
    attempts: int = 0
    acknowledged_results: int = 0
    acknowledged_reports: int = 0
    reclaim_seconds: list[float] = field(default_factory=list)
    restart_seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, object]:
        found = {
            "kills": self.kills,
            "trials": self.trials,
            "wasted attempts": self.attempts - self.trials,
            "acknowledged results": self.acknowledged_results,
            "acknowledged reports": self.acknowledged_reports,
            "wrong": self.wrong,
        }
        for name, times in (("reclaim", self.reclaim_seconds), ("restart", self.restart_seconds)):
            if times:
                ordered = sorted(times)
                found[f"{name}s"] = len(ordered)
                found[f"{name} p50 s"] = round(statistics.median(ordered), 3)
                found[f"{name} p95 s"] = round(ordered[int(0.95 * (len(ordered) - 1))], 3)
                found[f"{name} max s"] = round(ordered[-1], 3)
        return found


def read_record(path: Path) -> list[Line]:
    if not path.exists():
        return []
    lines = []
    for text in path.read_text().splitlines():
        what, pid, moment, trial, *facts = text.split(" ")
        lines.append(Line(what, int(pid), float(moment), int(trial), facts))
    return lines


class Torture:
    """One study, tortured until so many kills have been made and its budget is used up."""

    def __init__(self, folder: Path, search: str, mode: str, kills: int, seed: int) -> None:
        self.study, self.record = folder / "study.db", folder / "record"
        self.search, self.mode, self.kills = search, mode, kills
        self.random = random.Random(f"{search} {mode} {seed}")
        self.trials = 4 * kills if search == "grid" else max(24, 2 * kills)
        points = ["--grid", f"x={self.trials // 2}"] if search == "grid" else []
        self.run = [
            "run", OBJECTIVE, "--study", self.study, "--search", search, *points,
            "--trials", self.trials, "--seed", seed, "--set", f"record={self.record}",
        ]  # fmt: skip
        self.outcome = Outcome()
        self.killed: list[tuple[float, int]] = []  # moment, pid
        self.commands: list[subprocess.Popen[str]] = []

    def go(self) -> Outcome:
        assert tinytune(*self.run, "--timeout", "0s").returncode == 0
        deadline = time.monotonic() + GIVE_UP_SECONDS + 2 * self.kills
        while len(self.killed) < self.kills and time.monotonic() < deadline:
            self._keep_working()
            if self._ended() >= self.trials:
                if self.search == "grid":  # it has no more points than it began with
                    break
                self.trials += 2 * (self.kills - len(self.killed)) + 8
                assert tinytune("resume", self.study, "--trials", self.trials,
                                "--timeout", "0s").returncode == 0  # fmt: skip
            self._kill_one(self._await_work())
        self._finish()
        self._check()
        return self.outcome

    def _keep_working(self) -> None:
        """Start what has ended or was killed again: one command with four workers, or four."""
        for command in self.commands:
            if command.poll() is not None:
                command.communicate()  # closes its pipes
        self.commands = [each for each in self.commands if each.returncode is None]
        each_has = WORKERS if self.mode == "one" else 1
        while len(self.commands) * each_has < WORKERS:
            self.commands.append(start("resume", self.study, "--workers", each_has, "--quiet"))

    def _await_work(self) -> list[int]:
        """Wait for a trial that started after the last kill, then a moment; return who works."""
        since = self.killed[-1][0] if self.killed else 0.0
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and any(each.poll() is None for each in self.commands):
            record = read_record(self.record)
            if any(line.what == "S" and line.moment > since for line in record):
                break
            time.sleep(0.005)
        time.sleep(self.random.uniform(0, 0.05))  # a random moment is what this is about
        busy = {line.pid for line in read_record(self.record)[-4 * WORKERS :]}
        return [pid for pid in busy if Path(f"/proc/{pid}").exists()]

    def _kill_one(self, busy: list[int]) -> None:
        """Kill a worker at a trial; now and then one that is loading, or a supervisor."""
        command = self.random.choice(self.commands)
        victim = command.pid
        chance = self.random.random()
        try:
            if busy and chance < 0.8:
                victim = self.random.choice(busy)
            elif chance < 0.9:
                victim = self.random.choice(children(command.pid) or [victim])
            os.kill(victim, signal.SIGKILL)
        except (ProcessLookupError, FileNotFoundError):
            return
        self.killed.append((time.clock_gettime(time.CLOCK_MONOTONIC), victim))

    def _ended(self) -> int:
        with Reader(self.study) as reader:
            return reader.progress(reader.study().goals[0]).ended

    def _finish(self) -> None:
        """Let what is still at work come to its end, and one more command look after it."""
        for command in self.commands:
            _, errors = command.communicate(timeout=GIVE_UP_SECONDS)
            if command.returncode not in (0, -signal.SIGKILL) or "Traceback" in errors:
                self._wrong(f"a command ended with {command.returncode}: {errors}")
        last = tinytune("resume", self.study, "--quiet")
        if last.returncode:
            self._wrong(f"the last resume failed: {last.stderr}")

    def _check(self) -> None:
        record = read_record(self.record)
        with Reader(self.study) as reader:
            trials = reader.trials()
            metrics = reader._db.all("SELECT trial, step, value FROM metric")
            ok = reader._db.all("PRAGMA integrity_check") == [("ok",)]
            keys = reader._db.all("PRAGMA foreign_key_check")
        self.outcome.kills = len(self.killed)
        self.outcome.trials = len(trials)
        self.outcome.attempts = sum(line.what == "S" for line in record)
        if not ok or keys:
            self._wrong("the file is damaged")
        if [trial.number for trial in trials] != list(range(self.trials)):
            self._wrong(f"{len(trials)} trials instead of {self.trials}")
        for trial in trials:
            if trial.state != "complete" and trial.deaths < 3:
                self._wrong(f"trial {trial.number} is {trial.state}: {trial.error}")
            if trial.state == "complete" and trial.value != value(**trial.params):
                self._wrong(f"trial {trial.number} has {trial.value} for {trial.params}")
        self._check_results(record, {trial.number: trial for trial in trials})
        self._check_reports(record, metrics, trials)
        self._measure_reclaims(record)
        wasted = self.outcome.attempts - len(trials)
        # A killed supervisor takes the trials of all its workers with it.
        allowed = sum(WORKERS if self.mode == "one" else 1 for _ in self.killed)
        if wasted > allowed:
            self._wrong(f"{wasted} attempts were wasted by {len(self.killed)} kills")
        rest = sorted(p.name for p in self.study.parent.iterdir())
        if rest != ["record", "study.db"]:
            self._wrong(f"files are left behind: {rest}")

    def _check_results(self, record: list[Line], trials: dict[int, object]) -> None:
        """What a worker returned before it went on was told: it is in the file, and told once."""
        told: dict[int, int] = defaultdict(int)
        last_end: dict[int, Line] = {}
        for line in record:
            if line.what == "S" and line.pid in last_end:
                end = last_end.pop(line.pid)
                told[end.trial] += 1
                if trials[end.trial].value != float(end.facts[0]):
                    self._wrong(f"the acknowledged result of trial {end.trial} is lost")
            elif line.what == "E":
                last_end[line.pid] = line
        self.outcome.acknowledged_results = sum(told.values())
        for number, times in told.items():
            if times > 1:
                self._wrong(f"trial {number} was acknowledged {times} times")

    def _check_reports(self, record: list[Line], metrics: list, trials: list) -> None:
        stored: dict[tuple[int, int], list[float]] = defaultdict(list)
        for trial, step, number in metrics:
            stored[trial, step].append(number)
        for line in record:
            if line.what == "R":
                self.outcome.acknowledged_reports += 1
                step, number = int(line.facts[0]), float(line.facts[1])
                if number in stored[line.trial, step]:
                    stored[line.trial, step].remove(number)
                else:
                    self._wrong(f"the acknowledged report {step} of trial {line.trial} is lost")
        with Reader(self.study) as reader:
            for trial in trials:
                curve = reader.curves(trial).get("loss", {})
                if trial.state == "complete" and len(curve) != REPORTS:
                    self._wrong(f"trial {trial.number} has {len(curve)} steps: attempts mixed")

    def _measure_reclaims(self, record: list[Line]) -> None:
        """Measure from a worker's death in a trial to that trial's next start.

        Where the one command was killed too, nobody was left to notice, and what is measured is
        how long a new command takes to start: those are counted apart.
        """
        workers = {line.pid for line in record}
        commands = [moment for moment, pid in self.killed if pid not in workers]
        for moment, pid in self.killed:
            mine = [line for line in record if line.pid == pid]
            if not mine or mine[-1].what == "E":
                continue
            number = mine[-1].trial
            again = [li.moment for li in record if li.what == "S" and li.trial == number]
            later = [start for start in again if start > moment]
            if not later:
                continue
            alone = self.mode == "one" and any(
                moment - RESTART_SECONDS < other <= min(later) for other in commands
            )
            times = self.outcome.restart_seconds if alone else self.outcome.reclaim_seconds
            times.append(min(later) - moment)

    def _wrong(self, text: str) -> None:
        self.outcome.wrong.append(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    cases = [(s, m) for s in ("random", "grid", "learner") for m in ("one", "four")]
    wrong = 0
    for search, mode in cases:
        with tempfile.TemporaryDirectory() as folder:
            each = -(-options.kills // len(cases))
            outcome = Torture(Path(folder), search, mode, each, options.seed).go()
        print(json.dumps({"search": search, "commands": mode, **outcome.summary()}), flush=True)
        wrong += len(outcome.wrong)
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
