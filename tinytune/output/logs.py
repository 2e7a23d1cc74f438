"""What attempts printed, as it is shown: from where the reader has been shown it before."""

from __future__ import annotations

from tinytune.errors import UsageError
from tinytune.files import typed
from tinytune.history import Output
from tinytune.output.formats import clean_text
from tinytune.store.reader import Reader


class Follower:
    """Shows one attempt's output, and what has come since when it looks again.

    UsageError where there is no such trial or attempt.
    """

    def __init__(self, reader: Reader, number: int, attempt: int | None) -> None:
        reader.study()  # refuses a file that is not a study's through and through
        trial = reader.trial(number)
        if trial is None:
            path = reader.path
            raise UsageError(f"{path} has no trial {number}: see `tinytune trials {typed(path)}`")
        if attempt is not None and attempt > trial.attempt:
            tried = "none" if not trial.attempt else f"{trial.attempt}"
            raise UsageError(f"trial {number} has no attempt {attempt}: the last one is {tried}")
        self._number, self._attempt = number, attempt or trial.attempt
        self._shown: dict[str, int] = {}  # characters of each stream
        self._nothing = ""
        self.news: list[tuple[str, str]] = []  # stream and text, after each look

    @property
    def notes(self) -> list[str]:
        """What is to be said when all has been shown."""
        return [] if self._shown else [self._nothing]

    def look(self, reader: Reader) -> bool:
        """Find what is new, and return whether the attempt is running."""
        trial = reader.trial(self._number)
        is_running = (
            trial is not None and trial.state == "running" and trial.attempt == self._attempt
        )
        outputs = [o for o in reader.outputs(self._number) if o.attempt == self._attempt]
        self.news = [(each.stream, self._new(each)) for each in outputs]
        self._nothing = (
            f"trial {self._number} has printed nothing yet"
            if is_running
            else f"nothing that attempt {self._attempt} at trial {self._number} printed is kept: "
            "it printed nothing, or its output was not captured (--capture)"
        )
        return is_running

    def _new(self, output: Output) -> str:
        """Return what of an output has not been shown, and say where something is left out."""
        shown = self._shown.get(output.stream, 0)
        end = len(output.head) + output.left_out + len(output.tail)
        self._shown[output.stream] = end
        begin = len(output.head) + output.left_out  # of the tail
        missing = begin - max(shown, len(output.head))
        cut = f"\n… {missing:,} characters were left out …\n" if missing > 0 else ""
        return clean_text(output.head[shown:] + cut + output.tail[max(0, shown - begin) :])
