"""What makes the distributions values: equal where their arguments are, and never changed."""

from __future__ import annotations


class Frozen:
    """Has its arguments as attributes, is equal to its like, and does not change.

    So is a frozen dataclass, but to define it takes twenty times as long, and every command loads
    the distributions. What `when` says may be unhashable, and has no part in the hash.
    """

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(value for name, value in vars(self).items() if name != "when"))

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({arguments})"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{self!r} does not change: make another one instead")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{self!r} does not change: make another one instead")
