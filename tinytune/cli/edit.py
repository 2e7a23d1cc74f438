"""Commands that change a study while it lives: tag, note, remove."""

from __future__ import annotations

from typing import Annotated

import typer

from tinytune.cli.hand import Number
from tinytune.cli.options import Debug, StudyFile
from tinytune.files import typed

LONGEST_TAG = 100  # characters
LONGEST_NOTE = 10_000


def tag(
    study: StudyFile,
    number: Number,
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="The tags, a word each.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take these tags from it.")] = False,
    debug: Debug = False,
) -> None:
    """Give a trial tags, to find it by: see `tinytune trials --tag`."""
    from tinytune.errors import UsageError
    from tinytune.output.formats import clean
    from tinytune.store.editor import Editor

    for word in words:
        if not word or not word.isprintable() or " " in word or len(word) > LONGEST_TAG:
            raise UsageError(
                f"the tag {word[:LONGEST_TAG]!r} is not one word of at most {LONGEST_TAG} "
                "characters: give each tag by itself"
            )
    with Editor(study) as editor:
        trial = editor.existing(number)
        missing = [word for word in words if word not in trial.tags]
        if remove and missing:
            has = ", ".join(trial.tags) or "none"
            raise UsageError(f"trial {number} has no tag {missing[0]!r}: it has {has}")
        if remove:
            editor.untag(number, words)
        else:
            editor.tag(number, words)
        tags = editor.existing(number).tags
    typer.echo(f"trial {number}: {clean(', '.join(tags)) or 'no tags'}", err=True)


def note(
    study: StudyFile,
    words: Annotated[
        list[str], typer.Argument(metavar="[NUMBER] TEXT", help="Of which trial, and the text.")
    ],
    debug: Debug = False,
) -> None:
    """Write a note about a trial, or about the study as a whole; `show` and `status` show it."""
    from tinytune.errors import UsageError
    from tinytune.store.editor import Editor

    *numbers, text = words
    if len(numbers) > 1 or not all(number.isdecimal() for number in numbers):
        raise UsageError(
            f"{numbers[0]!r} is no number of a trial: write the note in quotes, as in "
            'note study.db 3 "looks odd"'
        )
    text = text.strip()
    if not text or len(text) > LONGEST_NOTE:
        raise UsageError(f"a note has 1 to {LONGEST_NOTE:,} characters, not {len(text):,}")
    with Editor(study) as editor:
        number = int(numbers[0]) if numbers else None
        if number is not None:
            editor.existing(number)
        editor.note(number, text)
    about = "the study" if number is None else f"trial {number}"
    typer.echo(f"noted about {about}", err=True)


def remove(
    study: StudyFile,
    numbers: Annotated[list[int], typer.Argument(metavar="NUMBER...", help="Which trials.")],
    undo: Annotated[bool, typer.Option("--undo", help="Let them count again.")] = False,
    debug: Debug = False,
) -> None:
    """Let trials not count from now on: never the best, and unknown to searches and stopping rules.

    They stay in the file, and in the budget. What was suggested before stays as it is.
    """
    from tinytune.output.formats import counted
    from tinytune.store.editor import Editor

    each = list(dict.fromkeys(numbers))
    with Editor(study) as editor:
        if undo:
            editor.restore(each)
        else:
            editor.remove(each)
    count = counted(len(each), "trial")
    if undo:
        typer.echo(f"{count} counted again from now on", err=True)
    else:
        undoing = f"tinytune remove {typed(study)} {' '.join(map(str, each))} --undo"
        typer.echo(f"{count} removed; undo it with `{undoing}`", err=True)
