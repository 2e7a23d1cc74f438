"""What a study's trials ran in, told to people: code, environment, uncommitted changes."""

from __future__ import annotations

from tinytune.errors import TinytuneError, UsageError
from tinytune.history import Environment
from tinytune.output.formats import clean, facts, json_text
from tinytune.store.reader import Reader


def environment(reader: Reader, number: int | None) -> Environment:
    """Return what a trial ran in, or the latest session; TinytuneError where it is not known."""
    reader.study()  # refuses a file whose study makes no sense
    if number is None:
        found = reader.latest_environment()
    else:
        trial = reader.trial(number)
        if trial is None:
            raise UsageError(f"{reader.path} has no trial {number}: see `tinytune trials`")
        found = None if trial.worker is None else reader.environment_of(trial.worker)
    if found is None:
        raise TinytuneError(
            f"{reader.path} does not say what it ran in: it was driven from Python, or not yet run"
        )
    return found


def code(reader: Reader, around: Environment) -> str:
    """Return the text of each of the objective's files."""
    parts = []
    for name, digest in around.known.get("files", {}).items():
        source = reader.source(digest)
        text = "(its text was not stored)" if source is None else source.text.rstrip()
        parts.append(f"# {clean(name)}\n" + "\n".join(map(clean, text.splitlines())))
    return "\n\n".join(parts) if parts else "the objective was in no file"


def environment_text(around: Environment, *, as_json: bool) -> str:
    """Return the facts but the diff, which `diff_text` returns."""
    known = around.known
    if as_json:
        return json_text(known)
    known.pop("diff", None)
    packages = known.pop("packages", {})
    known |= {name: ", ".join(known.get(name, [])) for name in ("files",)}
    known["argv"] = " ".join(known.get("argv", []))
    known["variables"] = " ".join(f"{k}={v}" for k, v in known.get("variables", {}).items())
    rows = [(name, value) for name, value in known.items() if value]
    lines = [f"  {clean(name)}=={clean(version)}" for name, version in packages.items()]
    return "\n".join([facts(rows), "packages", *lines])


def diff_text(around: Environment) -> str:
    """Return what git said was not committed."""
    known = around.known
    if "commit" not in known:
        return "it ran in no git repository, or with --no-git"
    text = known.get("diff", "").rstrip()
    return "\n".join(map(clean, text.splitlines())) or f"nothing but commit {known['commit']}"
