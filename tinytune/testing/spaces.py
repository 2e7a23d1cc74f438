"""Spaces of every kind, for tests of searches."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import TypeAlias

from tinytune.distributions import Between, Choice, Distribution, Float, Int, LogNormal, Normal
from tinytune.space import Space

Spaces: TypeAlias = Mapping[str, Space]


@cache
def spaces() -> Spaces:
    """Return the spaces that the checks use, by name."""
    return MappingProxyType({**_plain_spaces(), **_tied_spaces(), **_odd_spaces()})


def numbers(count: int) -> Space:
    """Return a space of so many real numbers from 0 to 1."""
    return Space.of({f"x{i}": Float(0, 1) for i in range(count)})


def _plain_spaces() -> dict[str, Space]:
    """Spaces of independent parameters."""
    return {
        "1 number": numbers(1),
        "2 numbers": numbers(2),
        "20 numbers": numbers(20),
        "50 numbers": numbers(50),
        "logarithmic": Space.of(
            {"lr": Float(1e-5, 1, log=True), "decay": Float(1e-10, 1e-2, log=True)},
            {"lr": 0.01, "decay": 1e-4},
        ),
        "whole numbers": Space.of(
            {"a": Int(-5, 5), "b": Int(1, 1000, log=True), "c": Int(0, 100, step=5)}
        ),
        "steps": Space.of({"a": Float(0, 1, step=0.1), "b": Float(-3, 3, step=0.5)}),
        "categories": Space.of(
            {
                "kind": Choice("a", "b", "c"),
                "flag": Choice(True, False, None),
                "mixed": Choice(1, 1.5, "1", weights=[5, 2, 1]),
            },
            {"kind": "b", "flag": None, "mixed": 1},
        ),
        "ordered": Space.of(
            {"size": Choice("small", "medium", "large", ordered=True), "x": Float(0, 1)}
        ),
        "normal": Space.of({"a": Normal(0, 1), "b": Normal(5, 2, low=4), "c": LogNormal(-2, 1)}),
    }


def _tied_spaces() -> dict[str, Space]:
    """Spaces with conditions and constraints."""
    network: dict[str, Distribution] = {
        "optimizer": Choice("sgd", "adam", "none"),
        "momentum": Float(0, 0.99, when={"optimizer": "sgd"}),
        "lr": Float(1e-4, 1, log=True, when={"optimizer": ["sgd", "adam"]}),
        "layers": Int(1, 4),
        "width": Int(8, 512, log=True, when={"layers": Between(low=2)}),
        "dropout": Choice(0.0, 0.1, 0.5, ordered=True, when={"width": Between(low=64)}),
    }
    defaults = {
        "optimizer": "sgd", "momentum": 0.9, "lr": 0.1, "layers": 2, "width": 64, "dropout": 0.1,
    }  # fmt: skip
    square: dict[str, Distribution] = {"x": Float(0, 1), "y": Float(0, 1)}
    return {
        "conditions": Space.of(network, defaults),
        "conditions and a constraint": Space.of(network, defaults, "layers * width <= 512"),
        "a constraint": Space.of(square, {"x": 0.25, "y": 0.5}, "x + y <= 1"),
        "a narrow constraint": Space.of(square, None, "x + y <= 0.3"),
        "whole numbers and a constraint": Space.of({"a": Int(1, 20), "b": Int(1, 20)}, None,
                                                   "a < b"),
    }  # fmt: skip


def _odd_spaces() -> dict[str, Space]:
    """Spaces that are very small or very large."""
    return {
        "1 configuration": Space.of({"only": Choice("this")}),
        "1 fixed value": Space.of({"only": Choice("this"), "x": Float(0, 1)}),
        "4 configurations": Space.of({"kind": Choice("a", "b"), "n": Int(1, 2)}),
        "3 configurations": Space.of(
            {"kind": Choice("a", "b"), "n": Int(1, 2)}, None, "n <= 1 or kind == 'a'"
        ),
        "wide": Space.of(
            {
                "a": Float(-8e307, 8e307),
                "b": Float(1e-300, 1e300, log=True),
                "c": Int(-(2**53), 2**53),
            }
        ),
    }
