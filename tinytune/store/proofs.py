"""Whether a study's file is as it was written: digests, ticks and sums, computed again."""

from __future__ import annotations

from collections.abc import Callable

from tinytune.digest import START, digest, sha256
from tinytune.store import changes, parts, rows, sql, sql_kept
from tinytune.store.opened import Opened
from tinytune.timeline import Part


class Proofs(Opened):
    """Computes again what the file says of itself."""

    def parts(self) -> list[Part]:
        """Return the studies that were merged into this one, without those merged into them."""
        every = self._all(parts.part, parts.SELECT_PARTS)
        return self._made(lambda _: parts.outermost(every), (), "its parts")

    def steps(self) -> int:
        """Return how many steps have been reported, in all attempts at all trials."""
        return self._made(rows.number, self._db.one(sql.SELECT_STEPS) or (0,), "a clock")

    def spent(self) -> dict[str, float]:
        """Return the seconds of all attempts that ended, by how they ended."""
        row = self._db.one(sql.SELECT_SPENT) or (0.0,) * len(sql.ENDINGS)
        return dict(zip(sql.ENDINGS, self._made(rows.spent, row, "a clock"), strict=True))

    def counted_steps(self, until: int) -> int:
        """Return how many steps were reported up to a tick, counted anew."""
        (count,) = self._db.one(sql.COUNT_STEPS, (until,)) or (0,)
        return int(count)

    def tick(self) -> int:
        """Return the last tick that was taken."""
        return self._made(rows.number, self._db.one(sql.SELECT_TICK) or (0,), "a clock")

    def chain(self) -> str:
        """Return the last link of the chain: two files with the same one have the same trials."""
        (_, chain) = self._db.one(sql.SELECT_CHAIN) or (0, START)
        return str(chain)

    def broken_copies(self) -> list[int]:
        """Return the trials that went on with other reports than they had before."""
        return [trial for (trial,) in self._db.all(sql_kept.SELECT_BROKEN_COPIES)]

    def damage(self) -> list[str]:
        """Return what SQLite finds wrong with the file's pages, indexes and references."""
        found = [text for (text,) in self._db.all(sql.SELECT_DAMAGE)]
        orphans = self._db.all(sql.SELECT_ORPHANS)
        return found + [f"a row of {child} refers to no {parent}" for child, _, parent in orphans]

    def stray_metrics(self) -> list[int]:
        """Return the trials that have reports of an attempt that never was."""
        return [trial for (trial,) in self._db.all(sql.SELECT_STRAY_METRICS)]

    def broken_links(self, before: Callable[[int], object]) -> list[int]:
        """Return the trials whose link of the chain is not what their rows give, in tick order.

        `before(count)` is called before each link, with how many have been looked at.
        """
        broken = []
        spent = dict.fromkeys(sql.ENDINGS, 0.0)
        previous, later = START, self.parts()
        endings = self._db.all(sql.SELECT_ENDINGS)
        reporting = {each for query in sql.SELECT_WITH_REPORTS for each in self._db.all(query)}
        for count, row in enumerate(endings):
            before(count)
            tick, link, which, reported = row[0], row[1], row[13:15], START
            spent[row[2]] = spent.get(row[2], 0.0) + (row[4] or 0.0)
            while later and later[0].end < tick:
                previous = parts.joined(previous, later.pop(0))
            if later and later[0].spans(tick):  # a link of another study's chain
                continue
            number = self._made(rows.number, which, "the number of a trial")
            if which in reporting:
                (reported,) = self._db.one(sql.SELECT_REPORTED, which) or ("",)
            if link != digest(previous, tick, digest(*row[2:13]), reported, *row[13:]):
                broken.append(number)
            previous = link  # so that one difference does not make all that follow differ
        for part in later:
            previous = parts.joined(previous, part)
        if self.chain() != previous or any(self.spent()[name] != spent[name] for name in spent):
            broken.append(-1)
        miscounted = self._all(rows.number, sql.SELECT_MISCOUNTED)  # deaths are in no link
        return broken + [number for number in miscounted if number not in broken]

    def broken_seals(self) -> list[str]:
        """Return which rows beside the trials were changed after they were written."""
        stored, computed = self._db.one(sql.SELECT_SEALS) or ("", None)
        broken = ["the study's own row, a source, an environment or a voucher"]
        if stored == computed:
            broken = []
        broken += [f"worker {worker}" for (worker,) in self._db.all(sql.SELECT_BROKEN_WORKERS)]
        broken += [f"trial {trial}" for (trial,) in self._db.all(sql.SELECT_BROKEN_TRIALS)]
        removals = self._db.all(changes.SELECT_BROKEN_REMOVALS)
        broken += [f"the removal of trial {trial}" for (trial,) in removals]
        stored, found = self._edited()
        broken += [] if stored == found else ["the clock's tick of the latest change"]
        printed = self._db.all(sql_kept.SELECT_BROKEN_OUTPUTS)
        broken += [f"the output of trial {trial}" for (trial,) in printed]
        saved = {trial for (trial,) in self._db.all(sql_kept.SELECT_BROKEN_CHECKPOINTS)}
        for trial, stored, content in self._db.all(sql_kept.SELECT_CONTENTS):
            if not isinstance(content, bytes) or sha256(content) != stored:
                saved.add(trial)
        broken += [f"a checkpoint of trial {trial}" for trial in sorted(saved)]
        last, count = self._db.one(sql.SELECT_LAST_WORKER) or (0, 0)
        return broken + (["the list of workers"] if last != count else [])

    def odd_ticks(self) -> tuple[int, int]:
        """Return the first tick of which the file has no row any more, and how many there are.

        Ticks after the clock's own count too; (0, 0) where all is well.
        """
        ticks = [tick for (tick,) in self._db.all(sql.SELECT_TICKS) if tick is not None]
        return changes.odd_ticks(ticks, self.tick())

    def _edited(self) -> tuple[int, int]:
        return self._made(changes.edited, self._db.one(changes.SELECT_EDITED) or (0, 0), "a clock")
