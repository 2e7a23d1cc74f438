"""Reads what a command prints: numbers of a step as they come, and its results at the end."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from tinytune.errors import ObjectiveError, UsageError
from tinytune.objective import LONGEST_TRACEBACK

LONGEST_LINE = 1_000_000  # characters; what is longer is no line of numbers
STDOUT, STDERR = 1, 2  # the numbers of a command's streams
MARK = "tinytune:"
_HOW = 'write "tinytune: step=3 loss=0.2", or "tinytune: loss=0.2" for a result'
_ENDS = re.compile(r"[\r\n]+")  # progress bars return the carriage
_NAME = re.compile(r"[^\s=]+")


class Printed:
    """What a command has printed so far; `report` is called for each line of a step."""

    def __init__(
        self,
        patterns: Mapping[str, re.Pattern[str]],
        report: Callable[[int, dict[str, float]], None],
    ) -> None:
        self._patterns, self._report = patterns, report
        self._decoders = {
            stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in (STDOUT, STDERR)
        }
        self._rest = {STDOUT: "", STDERR: ""}
        self._steps: dict[str, float] = {}  # last value of what was reported by step
        self._found: dict[str, object] = {}  # by pattern
        self._document: dict[str, object] = {}  # the last JSON object
        self._told: dict[str, float] = {}  # by a line of ours without a step
        self._last = ""  # line of standard output that is not blank
        self.errors = ""  # the end of standard error

    def feed(self, stream: int, chunk: bytes, *, is_last: bool = False) -> None:
        """Take in what came; ObjectiveError for a line of ours that makes no sense."""
        text = self._decoders[stream].decode(chunk, is_last)
        if stream == STDERR:
            self.errors = (self.errors + text)[-LONGEST_TRACEBACK:]
        *lines, rest = _ENDS.split(self._rest[stream] + text)
        self._rest[stream] = rest[:LONGEST_LINE]
        for line in [*lines, rest] if is_last else lines:
            self._read(stream, line)

    def finish(self) -> None:
        """Take in what stands without an end of line at the end."""
        for stream in (STDOUT, STDERR):
            self.feed(stream, b"", is_last=True)

    def results(self, goals: Sequence[str]) -> dict[str, object]:
        """Return the results by name.

        A line of ours counts more than the last JSON object, that more than a pattern, and that
        more than the last step. A number alone on the last line is the goal's value.
        """
        steps = {name: self._steps[name] for name in goals if name in self._steps}
        found = {**steps, **self._found, **self._document, **self._told}
        if len(goals) == 1 and goals[0] not in found:
            number = _json(self._last)
            if isinstance(number, (int, float)) and not isinstance(number, bool):
                found[goals[0]] = number
        return found

    @property
    def last_error(self) -> str:
        """The last line of standard error that is not blank."""
        return next((line for line in reversed(self.errors.splitlines()) if line.strip()), "")

    def _read(self, stream: int, line: str) -> None:
        for name, pattern in self._patterns.items():
            match = pattern.search(line)
            if match is not None:
                self._found[name] = _number(match[1] or "", f"the pattern of {name} found")
        if stream == STDERR or not line.strip():
            return
        self._last = line = line.strip()
        if line.startswith(MARK):
            self._heed(line)
        elif line.startswith("{"):
            document = _json(line)
            if isinstance(document, dict):
                self._document = dict(_numbers(document)) or self._document

    def _heed(self, line: str) -> None:
        """Take in a line of ours."""
        told: dict[str, float] = {}
        step: int | None = None
        for word in line.removeprefix(MARK).split():
            name, _, text = word.partition("=")
            if not text or not _NAME.fullmatch(name):
                raise ObjectiveError(f"it printed {line!r:.200}, which cannot be read: {_HOW}")
            if name == "step":
                step = _step(text)
            else:
                told[name] = _number(text, f"it printed {name} =")
        if not told:
            raise ObjectiveError(f"it printed {line!r:.200} without a number: {_HOW}")
        if step is None:
            self._told |= told
        else:
            self._report(step, told)
            self._steps |= told


def patterns(texts: Sequence[str]) -> dict[str, re.Pattern[str]]:
    """Return `error=Test error: ([0-9.]+)` as a name and a pattern; UsageError says what is wrong.

    The pattern is searched for in each line of both outputs, and its last match counts.
    """
    found: dict[str, re.Pattern[str]] = {}
    for text in texts:
        name, equals, pattern = text.partition("=")
        if not equals or not pattern or not _NAME.fullmatch(name):
            raise UsageError(
                f'--metric {text!r} is no NAME=PATTERN: write --metric "error=error: ([0-9.]+)"'
            )
        if name in found:
            raise UsageError(f"--metric {name}=… is given twice: give it once")
        try:
            found[name] = re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise UsageError(f"--metric {name}: {pattern!r} is no pattern ({error})") from None
        if found[name].groups != 1:
            raise UsageError(
                f"--metric {name}: {pattern!r} has {found[name].groups} groups: put the number, "
                "and nothing else, in parentheses; (?:…) is no group"
            )
    return found


def _numbers(document: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the numbers of a JSON object; a name, for example, is no result."""
    for name, value in document.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            yield name, value


def _json(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _number(text: str, what: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ObjectiveError(f"{what} {text!r:.80}, which is not a number") from None


def _step(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ObjectiveError(f"it printed step={text:.80}, which is not a whole number") from None
