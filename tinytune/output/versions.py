"""How people have changed a study, and what they have merged into it, told to people."""

from __future__ import annotations

from tinytune.output.formats import counted, iso_time
from tinytune.store.reader import Reader


def texts(reader: Reader) -> list[tuple[str | None, str]]:
    """Return when people have changed the study, and how."""
    timeline, parts = reader.timeline(), reader.parts()
    before, found = timeline.records[0], []
    for version, after in zip(timeline.versions, timeline.records[1:], strict=True):
        part = next((p for p in parts if p.start <= version.tick <= p.end), None)
        since = iso_time(version.time)
        if part is None:
            from tinytune import changing  # loads the searches

            found += [(since, text) for text in changing.texts(before, after, version.trial)]
            before = after
        elif part.start == version.tick:
            trials = counted(part.trials, "trial")
            found.append((since, f"from trial {part.first} on, {trials} merged from {part.name}"))
    return found


def as_json(reader: Reader) -> list[dict[str, object]]:
    """Return the same for scripts."""
    return [{"time": since, "change": what} for since, what in texts(reader)]


def merged_json(reader: Reader) -> list[dict[str, object]]:
    """Return which studies were merged into this one."""
    return [
        {
            "study": part.name,
            "created": iso_time(part.created),
            "first": part.first,
            "trials": part.trials,
            "seed": part.seed,
        }
        for part in reader.parts()
    ]


def source(reader: Reader, number: int) -> tuple[str, int] | None:
    """Return from which study a trial was merged, and its number there; None if from none."""
    for part in reader.parts():
        if part.holds(number):
            return part.name, number - part.first
    return None
