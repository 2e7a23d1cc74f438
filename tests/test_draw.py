"""Random numbers: always the same for the same purpose, and never from a global state."""

import math
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tinytune import draw
from tinytune.distributions import Choice, Float, Int, Normal
from tinytune.search.grid import Grid
from tinytune.search.random import Random
from tinytune.space import Space

SEEDS = st.integers(0, draw.SEED_LIMIT - 1)


# Whoever changes one of these numbers changes every study: raise the versions of the searches.
GOLDEN_KEYS = [
    0xE22D1FD0DC8C4E944C82072857C1663B,
    0xD534B07A0E7EA8BE2A259562A1E2DCB7,
    0xABB2E4228E4C32F388A9608D52BA5CA2,
    0x9E169FF2D6922D2E79610566B5DC8C17,
]
GOLDEN_UNIFORMS = [0.06243496238860902, 0.5660483626520224, 0.8205798976856348, 0.7195099403930275]
GOLDEN_SEEDS = [2730019604, 1578698960, 3709825183, 1490492382]
GOLDEN_ORDER = [8, 2, 7, 9, 5, 1, 3, 4, 6, 0]
GOLDEN_PLACE = 311154148721
GOLDEN_BELOW = 618


def test_golden_keys():
    assert draw.key(0, 0, "random") == GOLDEN_KEYS[0]
    assert draw.key(0, 0, "random", "lr") == GOLDEN_KEYS[1]
    assert draw.key(1, 2, "random", "lr", 3) == GOLDEN_KEYS[2]
    assert draw.key(draw.SEED_LIMIT - 1, 10**6, "ü", "größe", 9999) == GOLDEN_KEYS[3]


def test_golden_uniforms():
    found = [draw.uniform(7, number, "random", "lr") for number in range(4)]
    assert found == GOLDEN_UNIFORMS


def test_golden_seeds():
    assert [draw.trial_seed(7, number) for number in range(4)] == GOLDEN_SEEDS


def test_golden_orders():
    assert [draw.permuted(i, 10, 0, "shuffle") for i in range(10)] == GOLDEN_ORDER
    assert draw.permuted(5, 10**12, 3, "shuffle") == GOLDEN_PLACE
    assert draw.below(1000, 0, 0, "grid") == GOLDEN_BELOW


@given(SEEDS, st.integers(0, 2**63), st.text(max_size=9), st.text(max_size=9), st.integers(0, 9999))
def test_uniforms_are_strictly_within_the_unit_interval(seed, number, purpose, name, attempt):
    u = draw.uniform(seed, number, purpose, name, attempt)
    assert 0 < u < 1
    assert (u * 2**53) % 2 == 1  # the middle of one of 2^52 cells


@given(SEEDS, st.integers(0, 2**63 - 1), st.text(max_size=9), st.lists(st.text(max_size=9)))
def test_uniforms_of_several_names_are_those_of_each(seed, number, purpose, names):
    found = draw.uniform_each(seed, number, purpose, tuple(names), 3)
    assert found == [draw.uniform(seed, number, purpose, name, 3) for name in names]


@pytest.mark.parametrize("bits", [b"\x00" * 16, b"\xff" * 16])
def test_uniforms_at_the_ends(monkeypatch, bits):
    monkeypatch.setattr(draw, "_digest", lambda *_: bits)
    u = draw.uniform(0, 0, "")
    assert u == (1 - 2.0**-53 if any(bits) else 2.0**-53)


def test_uniforms_are_uniform():
    found = sorted(draw.uniform(1, number, "test") for number in range(4000))
    distance = max(abs(u - (i + 0.5) / 4000) for i, u in enumerate(found))
    assert distance < 1.63 / math.sqrt(4000)  # Kolmogorov and Smirnov's, at 1 %


def test_each_part_of_a_purpose_counts():
    base = (1, 2, "purpose", "name", 3)
    keys = {
        draw.key(*base[:i], other, *base[i + 1 :])
        for i, other in enumerate((9, 9, "other", "other", 9))
    }
    assert len(keys | {draw.key(*base)}) == 6
    assert draw.key(0, 0, "ab", "c") != draw.key(0, 0, "a", "bc")


@given(st.integers(1, 700), SEEDS)
@example(1, 0)
@example(2, 0)
@example(3, 0)
@example(4, 0)
@example(5, 0)
@example(16, 0)
@example(17, 0)
@example(31, 0)
@example(127, 0)
@example(509, 0)
@example(256, 0)
def test_permuted_is_a_bijection(size, seed):
    assert sorted(draw.permuted(i, size, seed, "p") for i in range(size)) == list(range(size))


@pytest.mark.parametrize("size", [10**6, 2**40, 2**64 + 13, 10**12, 10**77, 10**100, 2**700 + 1])
def test_permuted_of_a_large_size_is_within_it_and_different(size):
    found = [draw.permuted(i, size, 1, "p") for i in range(300)]
    assert len(set(found)) == 300
    assert all(0 <= place < size for place in found)
    # All of the range is reached: the tenths of it are about equally often hit.
    tenths = [10 * place // size for place in found]
    assert all(10 <= tenths.count(tenth) <= 60 for tenth in range(10))


@pytest.mark.parametrize("size", [2, 3, 4])
def test_every_order_of_a_few_is_found(size):
    orders = {tuple(draw.permuted(i, size, seed, "p") for i in range(size)) for seed in range(400)}
    assert len(orders) == math.factorial(size)


def test_every_place_is_equally_likely_for_the_first():
    firsts = [draw.permuted(0, 7, seed, "p") for seed in range(1400)]
    assert all(140 < firsts.count(place) < 260 for place in range(7))


@given(st.integers(1, 2**120), SEEDS, st.integers(0, 10**6))
def test_below_is_below(limit, seed, number):
    assert 0 <= draw.below(limit, seed, number, "b") < limit


def test_below_reaches_all():
    assert {draw.below(5, 0, number, "b") for number in range(100)} == set(range(5))


@given(SEEDS, st.integers(0, 10**9))
def test_a_trials_seed_fits_32_bits(seed, number):
    assert 0 <= draw.trial_seed(seed, number) < 2**32


@pytest.mark.parametrize("new", [Float(0, 1), Int(1, 9), Choice("x", "y")])
@pytest.mark.parametrize("first", [True, False])
def test_another_parameter_shifts_no_number(new, first):
    old = {"a": Float(0, 1), "b": Int(1, 1000), "c": Normal(0, 1)}
    both = {"new": new, **old} if first else {**old, "new": new}
    for number in range(20):
        before = Space.of(old).sample(5, number, "random")
        after = Space.of(both).sample(5, number, "random")
        assert {name: after[name] for name in old} == before


def test_a_condition_shifts_no_number():
    old = {"a": Float(0, 1), "b": Choice("x", "y")}
    for number in range(20):
        after = Space.of({**old, "c": Float(0, 1, when={"b": "x"})}).sample(5, number, "random")
        assert {name: after[name] for name in old} == Space.of(old).sample(5, number, "random")


def test_no_global_random_state_is_read_or_changed():
    space = Space.of(
        {"a": Float(0, 1, step=0.1), "b": Choice("x", "y"), "c": Int(1, 5)}, where="a * c <= 4"
    )

    def everything():
        walks = [
            Random().start(space, 1, None),
            Random(without_replacement=True).start(space, 1, None),
            Grid().start(space, 1, None),
        ]
        return [walk.suggest(number, ()) for walk in walks for number in range(10)], [
            draw.uniform(1, 2, "p"), draw.permuted(3, 100, 1, "p"), draw.trial_seed(1, 2),
        ]  # fmt: skip

    found = []
    for state in (1, 2):
        random.seed(state)
        np.random.seed(state)
        before = random.getstate(), np.random.get_state()
        found.append(everything())
        assert random.getstate() == before[0]
        for part, same in zip(np.random.get_state(), before[1], strict=True):
            assert np.array_equal(part, same)
    assert found[0] == found[1]


def test_bulk_draws_are_philox_s_own_stream():
    words = draw.bits(4, 1, 2, "test", "x", 3)
    philox = np.random.Philox(key=draw.key(1, 2, "test", "x", 3))
    assert words.tolist() == philox.random_raw(4).tolist()
    known = [0x02F4BA6408E4D89B, 0x3DD62B0B9CA8C5B2]  # with key 0, counter 1 (Random123)
    assert np.random.Philox(key=0).random_raw(2).tolist() == known


def test_what_was_drawn_before_and_other_threads_change_no_bulk_draw():
    wanted = [np.random.Philox(key=draw.key(3, n, "p")).random_raw(n).tolist() for n in range(40)]

    def drawn(order):
        return {n: draw.bits(n, 3, n, "p").tolist() for n in order}

    with ThreadPoolExecutor(4) as pool:
        orders = [range(40), range(39, -1, -1), [*range(0, 40, 2), *range(1, 40, 2)]] * 4
        for found in pool.map(drawn, orders):
            assert [found[n] for n in range(40)] == wanted


def test_bulk_uniforms_lie_strictly_between_0_and_1_and_fill_it():
    numbers = draw.uniforms(10_000, 1, 2, "test")
    assert numbers.min() > 0
    assert numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 0.02
    assert draw.uniforms(3, 1, 2, "test").tolist() == numbers[:3].tolist()
    assert draw.uniforms(3, 1, 3, "test").tolist() != numbers[:3].tolist()
