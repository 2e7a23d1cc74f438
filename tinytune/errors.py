"""What can go wrong, told in one sentence: what, where, and what to do."""


class TinytuneError(Exception):
    """The base of every error that tinytune raises on purpose; `exit_code` is for the shell."""

    exit_code = 1


class UsageError(TinytuneError):
    """An argument or option is wrong; nothing was changed."""

    exit_code = 2


class SpaceError(TinytuneError):
    """The search space, or a configuration of it, is wrong; the message names the parameter."""


class ObjectiveError(TinytuneError):
    """The objective cannot be found, loaded or used."""


class StudyFileError(TinytuneError):
    """The study's file cannot be created, opened, read or written; the message names it."""


class StudyMismatchError(TinytuneError):
    """The file holds another study than the one that was asked for; it was left unchanged."""


class TrialStopped(BaseException):
    """A stopping rule ends the running trial; let it pass, after cleaning up.

    It is no Exception, so that an objective's own `except Exception` does not swallow it.
    """


class LeaseLostError(TinytuneError):
    """The trial was taken from this worker in the meantime; its late write was refused."""
