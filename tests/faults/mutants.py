"""Breaks tinytune on purpose, in ways that matter, and sees that a named test notices.

    python -m tests.faults.mutants

Each mutant is a copy of the checkout with one text replaced. A mutant that no test catches, or a
text that is no longer there, is an error.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Mutant:
    name: str
    file: str
    old: str
    new: str
    test: str


MUTANTS = [
    Mutant(
        "no fence",
        "tinytune/store/sql.py",
        "WHERE number = ? AND attempt = ? AND worker = ? AND state = 'running')\nRETURNING tick\n",
        "WHERE number = ? AND ? + ? > 0)\nRETURNING tick\n",
        "tests/test_store.py::test_who_lost_a_trial_can_write_nothing_about_it",
    ),
    Mutant(
        "no fence, as a suspended worker meets it",
        "tinytune/store/sql.py",
        "WHERE number = ? AND attempt = ? AND worker = ? AND state = 'running')\nRETURNING tick, ",
        "WHERE number = ? AND ? + ? > 0)\nRETURNING tick, ",
        "tests/faults/test_zombies.py::"
        "test_a_suspended_worker_loses_its_trial_only_by_its_lease_and_lives_on",
    ),
    Mutant(
        "no fence around results",
        "tinytune/store/sql.py",
        "attempt = ?2 AND worker = ?3 AND state = 'running')\nRETURNING tick, chain",
        "?2 + ?3 > 0)\nRETURNING tick, chain",
        "tests/test_store.py::test_who_lost_a_trial_can_write_nothing_about_it",
    ),
    Mutant(
        "no fence around checkpoints",
        "tinytune/store/fenced.py",
        "            self._check_held(token)\n            self._db.change(sql_kept.KEEP",
        "            self._db.change(sql_kept.KEEP",
        "tests/test_checkpoints.py::test_who_lost_a_trial_cannot_save",
    ),
    Mutant(
        "beside the study only the newest checkpoint is kept",
        "tinytune/checkpoints.py",
        "beside.tidy(folder, {*map(_name, kept),",
        "beside.tidy(folder, {*map(_name, kept[:1]),",
        "tests/test_checkpoints.py::test_a_broken_checkpoint_is_passed_over_and_that_is_said",
    ),
    Mutant(
        "an attempt that goes on takes over what came after its checkpoint",
        "tinytune/store/sql_kept.py",
        'WHERE trial = ?1 AND attempt = ?3 AND tick <= ?4\n"""',
        'WHERE trial = ?1 AND attempt = ?3\n"""',
        "tests/test_checkpoints.py::test_an_attempt_that_goes_on_has_the_earlier_reports_once",
    ),
    Mutant(
        "a damaged checkpoint is believed",
        "tinytune/checkpoints.py",
        "    if hashed != saved.sha256:",
        "    if False:",
        "tests/test_checkpoints.py::test_a_broken_checkpoint_is_passed_over_and_that_is_said",
    ),
    Mutant(
        "attempt not checked",
        "tinytune/store/sql.py",
        "attempt = ? AND worker = ? AND state = 'running')\nRETURNING tick, ",
        "attempt + 99 > ? AND worker = ? AND state = 'running')\nRETURNING tick, ",
        "tests/test_store.py::test_an_earlier_attempt_of_the_same_worker_is_fenced_too",
    ),
    Mutant(
        "no liveness check",
        "tinytune/process.py",
        "    return found is None or found != other.birth",
        "    return None",
        "tests/faults/test_zombies.py::test_a_process_is_known_by_more_than_its_number",
    ),
    Mutant(
        "a process is known by its number alone",
        "tinytune/process.py",
        "    return found is None or found != other.birth",
        "    return found is None",
        "tests/faults/test_zombies.py::test_a_process_is_known_by_more_than_its_number",
    ),
    Mutant(
        "a process that waits to be reaped counts as alive",
        "tinytune/process.py",
        'return None if fields[0] in {b"Z", b"X"} else fields[19].decode()',
        "return fields[19].decode()",
        "tests/faults/test_zombies.py::test_a_process_that_waits_to_be_reaped_is_dead",
    ),
    Mutant(
        "deferred BEGIN",
        "tinytune/db.py",
        '"BEGIN IMMEDIATE"',
        '"BEGIN"',
        "tests/test_store.py::"
        "test_nobody_writes_between_what_a_transaction_reads_and_what_it_writes",
    ),
    Mutant(
        "claim outside of the transaction",
        "tinytune/store/writer.py",
        "with self._db.transaction():\n                found = self._next(sql.TAKE_NEXT)",
        "found = self._next(sql.TAKE_NEXT)\n            with self._db.transaction():",
        "tests/faults/test_contention.py::test_many_processes_write_one_file",
    ),
    Mutant(
        "told without fsync",
        "tinytune/queue.py",
        "            _fsync(self._log)",
        "            pass",
        "tests/test_store.py::test_what_a_trial_costs_is_counted_exactly",
    ),
    Mutant(
        "told without fsync, as a power cut finds it",
        "tinytune/queue.py",
        "            _fsync(self._log)",
        "            pass",
        "tests/faults/test_powerloss.py",
    ),
    Mutant(
        "tick reused",
        "tinytune/store/sql.py",
        "UPDATE clock SET tick = tick + 1 WHERE EXISTS",
        "UPDATE clock SET tick = tick + 0 WHERE EXISTS",
        "tests/test_store.py::test_every_change_takes_the_next_tick",
    ),
    Mutant(
        "one trial too many",
        "tinytune/store/writer.py",
        "                elif budget is not None and number - repeats >= budget:",
        "                elif budget is not None and number - repeats > budget:",
        "tests/test_store.py::test_trials_are_numbered_without_a_gap_up_to_the_budget",
    ),
    Mutant(
        "deaths are not counted",
        "tinytune/store/sql.py",
        "UPDATE trial SET state = 'waiting', deaths = deaths + ?, claimed",
        "UPDATE trial SET state = 'waiting', deaths = deaths + 0 * ?, claimed",
        "tests/test_store.py::test_the_third_dead_worker_fails_the_trial",
    ),
    Mutant(
        "an interrupted objective that went on is believed",
        "tinytune/worker.py",
        "        if interrupt.broke_in:",
        "        if False:",
        "tests/test_worker.py::test_an_objective_that_swallows_the_interrupt_is_not_believed",
    ),
    Mutant(
        "a signal may break into a write",
        "tinytune/worker.py",
        "        before, self._may_break_in = self._may_break_in, False\n",
        "        before = self._may_break_in\n",
        "tests/test_worker.py::test_no_signal_breaks_into_a_write",
    ),
    Mutant(
        "a search sees what came after it was asked",
        "tinytune/study.py",
        "self._writer.history(before=asked, after=fold.seen)",
        "self._writer.history(before=asked + 10**9, after=fold.seen)",
        "tests/test_study.py::"
        "test_a_claim_without_params_is_suggested_by_its_heir_as_if_nothing_had_happened",
    ),
    Mutant(
        "searches hear of rungs to which a trial came after its pause",
        "tinytune/store/sql.py",
        "AND d.tick < {tick})",
        "AND d.tick < {tick} + 1000000)",
        "tests/test_rungs.py::"
        "test_what_a_search_heard_of_a_paused_trial_stays_so_when_it_is_let_on",
    ),
    Mutant(
        "a search keeps what it was told of earlier trials",
        "tinytune/search/fold.py",
        "if now[: len(self._heard)] != self._heard:",
        "if False:",
        "tests/test_rungs.py::test_a_search_told_step_by_step_equals_one_that_is_rebuilt",
    ),
    Mutant(
        "a search does not see what is pending",
        "tinytune/study.py",
        "fold.answer(number - record.first, self._writer.pending(before=asked))",
        "fold.answer(number - record.first, [])",
        "tests/test_verify.py::test_any_interleaving_of_many_workers_with_kills_is_exact",
    ),
    Mutant(
        "links are not chained",
        "tinytune/store/sql.py",
        "SELECT link(chain, clock.tick + 1,",
        "SELECT link('', clock.tick + 1,",
        "tests/test_verify.py::test_a_finished_study_is_exact",
    ),
    Mutant(
        "links are not compared",
        "tinytune/store/proofs.py",
        "if link != digest(previous, tick, digest(*row[2:13]), reported, *row[13:]):",
        "if False:",
        "tests/test_verify.py::test_any_cell_that_is_changed_is_noticed",
    ),
    Mutant(
        "stored code is written outside of its folder",
        "tinytune/extract.py",
        'part not in {"..", "~"}',
        'part not in {"~"}',
        "tests/test_replicate.py::test_a_path_that_leads_out_of_the_folder_is_left_out",
    ),
    Mutant(
        "triggers of a stranger are let in",
        "tinytune/db.py",
        "    if not odd:  ",
        "    if odd:  ",
        "tests/faults/test_hostile.py",
    ),
    Mutant(
        "resume runs what a stranger named",
        "tinytune/session.py",
        "        if mark is not None and reader.has_voucher(mark):\n            return target",
        "        if True:\n            return target",
        "tests/test_cli.py::test_resume_does_not_run_what_a_stranger_named",
    ),
]


def copy_of_the_checkout(folder: Path) -> Path:
    """Copy what is needed to run a test; the tests run the copy, not the installed package."""
    for name in ("tinytune", "tests", "examples"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("schema.sql", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def survives(mutant: Mutant) -> bool:
    """Return whether the named test passes although the code is broken."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = copy_of_the_checkout(Path(name))
        broken = folder / mutant.file
        text = broken.read_text(encoding="utf-8")
        if text.count(mutant.old) != 1:
            raise SystemExit(
                f"{mutant.name}: its text is {text.count(mutant.old)} times in {mutant.file}"
            )
        broken.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        done = run(folder, [mutant.test])
        if done.returncode not in (0, 1):
            raise SystemExit(
                f"{mutant.name}: {mutant.test} could not be run:\n{done.stdout[-2000:]}"
            )
        return done.returncode == 0


def passes_unbroken() -> bool:
    """Return whether the named tests pass in a copy that is not broken: else nothing is shown."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = copy_of_the_checkout(Path(name))
        return run(folder, sorted({mutant.test for mutant in MUTANTS})).returncode == 0


def run(folder: Path, tests: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1",
             "PATIENCE_SECONDS": "20"},
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip


def main() -> None:
    if not passes_unbroken():
        raise SystemExit("the named tests do not pass in an unbroken copy")
    alive = 0
    for mutant in MUTANTS:
        lives = survives(mutant)
        alive += lives
        print(f"{'SURVIVES' if lives else 'caught':<9} {mutant.name} ({mutant.test})", flush=True)
    print(f"{len(MUTANTS) - alive} of {len(MUTANTS)} mutants caught")
    raise SystemExit(1 if alive else 0)


if __name__ == "__main__":
    main()
