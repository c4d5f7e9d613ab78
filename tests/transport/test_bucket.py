"""The arithmetic of quotas: whatever happens, no more is granted than was there."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_stream.transport.bucket import Bucket

LIMITS = st.floats(1, 1e6)
STEPS = st.lists(
    st.tuples(
        st.floats(0, 90),  # seconds that pass before it
        st.sampled_from(["take", "take", "take", "settle", "give back", "slow"]),
        st.integers(0, 100_000),
        st.floats(0, 1.5),  # of what was reserved, what was used
    ),
    max_size=40,
)


@settings(deadline=None)
@given(LIMITS, LIMITS, st.floats(0.001, 1), STEPS)
def test_no_schedule_is_granted_more_than_the_burst_and_the_rate(
    rpm: float, tpm: float, burst: float, steps: list[tuple[float, str, int, float]]
) -> None:
    bucket, now = Bucket(rpm, tpm, burst, 0.0), 0.0
    requests = tokens = 0.0  # that were granted, without what was given back
    held: list[int] = []
    for seconds, step, amount, used in steps:
        now += seconds
        if step == "take" and bucket.take(amount, now) == 0:
            requests, tokens = requests + 1, tokens + amount
            held.append(amount)
            assert requests <= max(1, rpm * burst) + now * rpm / 60 + 1e-6 * (1 + requests)
            # One that is larger than the bucket goes once it is full; and a debt is made by what goes unseen.
            assert tokens - max(0, amount - max(1, tpm * burst)) <= max(1, tpm * burst) + now * tpm / 60 + 1e-6 * (
                1 + tokens
            )
        elif step == "settle" and held:
            reserved = held.pop()
            bucket.give(0, reserved - int(used * reserved), now)
            tokens += int(used * reserved) - reserved
        elif step == "give back" and held:
            reserved = held.pop()
            bucket.give(1, reserved, now)
            requests, tokens = requests - 1, tokens - reserved
        elif step == "slow":
            bucket.slow(now)


@settings(deadline=None)
@given(st.integers(0, 5000), st.integers(0, 20_000), st.floats(0, 0.5))
def test_a_settlement_leaves_what_taking_the_used_amount_would_have_left(
    reserved: int, used: int, seconds: float
) -> None:
    settled, exact = Bucket(None, 600_000, 0.1, 0.0), Bucket(None, 600_000, 0.1, 0.0)
    for bucket in (settled, exact):
        bucket.take(30_000, 0.0)  # so that neither is ever full
    settled.take(reserved, 0.0)
    exact.give(0, -used, 0.0)
    settled.give(0, reserved - used, seconds)
    exact.give(0, 0, seconds)
    assert settled.level(seconds)[1] == pytest.approx(exact.level(seconds)[1])


@settings(deadline=None)
@given(LIMITS, LIMITS, st.lists(st.integers(0, 100_000), min_size=1, max_size=10), st.booleans())
def test_after_the_wait_that_it_names_there_is_enough(rpm: float, tpm: float, sizes: list[int], slow: bool) -> None:
    bucket, now = Bucket(rpm, tpm, 0.1, 0.0), 0.0
    if slow:
        bucket.slow(now)
    for tokens in sizes:
        wait = bucket.take(tokens, now)
        if wait:
            assert bucket.take(tokens, now + wait * 0.99) > 0, "and not before"
            now += wait * (1 + 1e-9) + 1e-9
            assert bucket.take(tokens, now) == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 2), st.integers(0, 200)), min_size=1, max_size=10), st.floats(0, 1e6))
def test_a_wait_moves_the_clock(debts: list[tuple[float, int]], start: float) -> None:
    """A wait that is too short to do so would be repeated without end."""
    bucket, now = Bucket(None, 6000, 0.01, start), start
    for seconds, debt in debts:
        now += seconds
        bucket.give(0, -debt, now)
        for _ in range(3):  # the second and the third only because of rounding errors
            if (wait := bucket.take(0, now)) == 0:
                break
            assert now + wait > now
            now += wait
        else:
            raise AssertionError("expected to have taken it")


def test_a_limit_that_is_not_set_is_never_reached() -> None:
    bucket = Bucket(None, 60, 1.0, 0.0)
    assert all(bucket.take(0, 0.0) == 0 for _ in range(1000))
    assert bucket.level(0.0) == (None, 60)
    assert Bucket(60, None, 1.0, 0.0).take(10**9, 0.0) == 0


def test_a_rate_is_halved_for_a_minute() -> None:
    bucket = Bucket(60, 6000, 1.0, 0.0)
    bucket.give(0, -6000, 0.0)  # empty
    bucket.slow(0.0)
    assert bucket.is_slow(59.9)
    assert bucket.level(30.0)[1] == pytest.approx(1500)
    assert bucket.level(70.0)[1] == pytest.approx(3000 + 1000)
    assert not bucket.is_slow(60.0)
    assert bucket.take(10**9, 70.0) < inf


def test_a_clock_that_runs_backwards_takes_nothing_away() -> None:
    bucket = Bucket(None, 600, 1.0, 100.0)
    bucket.take(600, 100.0)
    assert bucket.level(0.0)[1] == 0
    assert bucket.level(101.0)[1] == pytest.approx(10)
