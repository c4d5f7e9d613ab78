"""`Retries`: the targets of a call's attempts, the waits before them, and the errors that end a call."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import RetryPolicy, errors
from bedrock_stream.client.retry import Breaker, Budget, Retries


class Call:
    """The retries of one call, with a clock that the test sets. `breakers` are those of its targets, in order."""

    def __init__(self, targets: int = 1, *, chance: float = 1.0, **policy: Any) -> None:
        self.now = 1000.0
        self.budget = Budget()
        self.breakers = [Breaker() for _ in range(targets)] if targets > 1 else []
        self.first = True
        self.retries = Retries(
            RetryPolicy(**policy), self.budget, self.breakers, clock=lambda: self.now, chance=lambda: chance
        )

    def open_breakers(self, *targets: int) -> None:
        for target in targets:
            for _ in range(5):
                self.breakers[target].failed(self.now)

    def is_open(self, target: int) -> bool:
        return self.breakers[target].is_open(self.now)

    def begin(self) -> int:
        """Begin the call, and return the target of the first attempt."""
        self.retries.begin()
        return self.retries.index

    def fail(self, error: errors.BedrockStreamError, elapsed: float = 0.0) -> tuple[int, float] | None:
        """Send an attempt that fails. Return the target of the next attempt and the wait before it, if any."""
        self.retries.sending()
        following = self.retries.following(error, elapsed, first=self.first)
        self.first = False
        if following is not None:
            self.retries.index = following[0]
        return following


def throttled(retry_after: float | None = None) -> errors.Throttled:
    error = errors.Throttled("ThrottlingException", "Slow down.", 429)
    error.retry_after = retry_after
    return error


def stale() -> errors.ConnectionFailed:
    """Return the error of a pooled connection that the other side had closed."""
    error = errors.ConnectionFailed("the connection was closed")
    error.dropped = True
    return error


def service_error(code: str) -> errors.ServiceError:
    return errors.service_error(code, "Something happened.")


REFUSALS = [
    "AccessDeniedException",
    "ExpiredTokenException",
    "ModelErrorException",
    "ResourceNotFoundException",
    "UnheardOfException",
    "ValidationException",
]
ANOTHER_TARGET = {
    "FirstEventTimeout": errors.FirstEventTimeout(1, 1),
    "FirstContentTimeout": errors.FirstContentTimeout(1, 1),
    "IdleTimeout": errors.IdleTimeout(1, 1),
    "QuotaExceeded": service_error("ServiceQuotaExceededException"),
    "CredentialsUnavailable": errors.CredentialsUnavailable("the source", "is unreachable"),
}
FINAL_ERRORS = {
    "ClientClosed": errors.ClientClosed("closed"),
    "MissingCredentials": errors.MissingCredentials("credentials", "not found"),
    "InvalidFrame": errors.InvalidFrame("damaged"),
    "NotAnEventStream": errors.NotAnEventStream(200, "text/html", b""),
    "PoolTimeout": errors.PoolTimeout(1, 1),
    "TotalTimeout": errors.TotalTimeout(1, 1),
    "UnreadTimeout": errors.UnreadTimeout(1, 1),
}


# ----------------------------------------------------------------------------------------------------- order of targets


def test_one_target_is_retried_after_the_policys_waits() -> None:
    call = Call(base=1.0, cap=3.0, max_attempts=4)
    assert call.begin() == 0
    assert [call.fail(throttled()) for _ in range(4)] == [(0, 1.0), (0, 2.0), (0, 3.0), None]


def test_waits_are_multiplied_by_chance() -> None:
    call = Call(base=1.0, cap=3.0, max_attempts=4, chance=0.5)
    call.begin()
    assert [call.fail(throttled()) for _ in range(3)] == [(0, 0.5), (0, 1.0), (0, 1.5)]


def test_no_retry_starts_after_the_total_time() -> None:
    call = Call(base=1.0, total=10)
    call.begin()
    assert call.fail(throttled(), elapsed=9.0) == (0, 1.0)
    assert call.fail(throttled(), elapsed=9.0) is None


def test_other_targets_are_tried_in_order_before_any_wait() -> None:
    call = Call(3, base=1.0, max_attempts=3)
    assert call.begin() == 0
    assert [call.fail(throttled()) for _ in range(5)] == [(1, 0.0), (2, 0.0), (0, 1.0), (0, 2.0), None]


def test_retries_after_the_other_targets_are_sent_to_the_first_one_that_is_up() -> None:
    call = Call(3, base=1.0, max_attempts=3)
    call.begin()
    call.fail(throttled())
    call.fail(throttled())
    call.open_breakers(0)
    assert call.fail(throttled()) == (1, 1.0)


def test_first_attempts_at_other_targets_are_not_limited_by_the_policy() -> None:
    call = Call(3, max_attempts=1, total=0)
    call.begin()
    assert [call.fail(throttled(), elapsed=1e6) for _ in range(3)] == [(1, 0.0), (2, 0.0), None]
    assert call.budget.left == 100


def test_a_call_begins_at_the_first_target_that_is_up() -> None:
    call = Call(3, base=1.0)
    call.open_breakers(0)
    assert call.begin() == 1
    # The target where the call began is not another target for it.
    assert [call.fail(throttled()) for _ in range(2)] == [(2, 0.0), (1, 1.0)]


def test_a_call_begins_at_the_first_target_if_all_are_down() -> None:
    call = Call(3, base=1.0)
    call.open_breakers(0, 1, 2)
    assert call.begin() == 0
    assert call.fail(throttled()) == (0, 1.0)


def test_other_targets_that_are_down_are_skipped() -> None:
    call = Call(4, base=1.0)
    call.open_breakers(1, 3)
    call.begin()
    assert [call.fail(throttled()) for _ in range(2)] == [(2, 0.0), (0, 1.0)]


def test_a_skipped_target_is_tried_once_its_pause_is_over() -> None:
    call = Call(3, base=1.0)
    call.open_breakers(1)
    call.begin()
    assert call.fail(throttled()) == (2, 0.0)
    call.now += 30
    assert call.fail(throttled()) == (1, 0.0)


def test_an_attempt_at_a_target_that_was_down_keeps_other_calls_away() -> None:
    call = Call(2)
    call.open_breakers(0)
    call.now += 30
    assert not call.is_open(0)
    assert call.begin() == 0
    call.retries.sending()
    assert call.is_open(0)
    call.retries.succeeded()
    assert not call.is_open(0)


def test_five_failures_in_a_row_open_the_breaker_of_a_target() -> None:
    call = Call(2, max_attempts=9, base=0)
    call.begin()
    assert [call.fail(throttled()) for _ in range(5)] == [(1, 0.0)] + [(0, 0.0)] * 4
    assert (call.is_open(0), call.is_open(1)) == (False, False)  # four failures at the first target, one at the other
    assert call.fail(throttled()) == (1, 0.0)
    assert (call.is_open(0), call.is_open(1)) == (True, False)


# --------------------------------------------------------------------------------------------- stale pooled connections


@pytest.mark.parametrize("targets", [1, 3])
def test_a_stale_connection_is_replaced_at_once(targets: int) -> None:
    call = Call(targets, base=60.0)
    assert call.begin() == 0
    assert call.fail(stale()) == (0, 0.0)


def test_only_the_first_stale_connection_is_replaced_at_once() -> None:
    call = Call(base=1.0, max_attempts=3)
    call.begin()
    assert [call.fail(stale()) for _ in range(3)] == [(0, 0.0), (0, 2.0), None]


def test_a_stale_connection_after_another_failure_is_a_failure_of_its_target() -> None:
    call = Call(2, base=1.0)
    call.begin()
    assert [call.fail(error) for error in (throttled(), stale())] == [(1, 0.0), (0, 1.0)]


def test_a_second_stale_connection_causes_failover() -> None:
    call = Call(2, base=1.0)
    call.begin()
    assert [call.fail(stale()) for _ in range(3)] == [(0, 0.0), (1, 0.0), (0, 2.0)]


def test_a_stale_connection_says_nothing_about_its_target() -> None:
    call = Call(2)
    for _ in range(4):
        call.breakers[0].failed(call.now)
    call.begin()
    call.fail(stale())
    assert not call.is_open(0)
    call.fail(stale())
    assert call.is_open(0)


def test_replacing_a_stale_connection_is_a_retry() -> None:
    call = Call()
    call.begin()
    call.fail(stale())
    assert call.budget.left == 99
    never = Call(max_attempts=1)
    never.begin()
    assert never.fail(stale()) is None


def test_a_connection_that_could_not_be_opened_is_not_stale() -> None:
    call = Call(2, base=1.0)
    call.begin()
    assert call.fail(errors.ConnectionFailed("refused")) == (1, 0.0)


# ----------------------------------------------------------------------------------------------- errors without a retry


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_is_neither_retried_nor_sent_to_another_target(code: str) -> None:
    for targets in (1, 3):
        call = Call(targets, base=0)
        call.begin()
        assert call.fail(service_error(code)) is None
        assert call.budget.left == 100


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_closes_the_breaker(code: str) -> None:
    call = Call(2)
    call.open_breakers(0)
    call.now += 30
    call.begin()
    call.fail(service_error(code))
    assert not call.is_open(0)
    for _ in range(4):
        call.breakers[0].failed(call.now)
    assert not call.is_open(0), "a refusal resets the count of failures"


@pytest.mark.parametrize("name", ANOTHER_TARGET)
def test_failures_that_another_target_may_not_have_cause_failover_without_retries(name: str) -> None:
    call = Call(3, base=0)
    call.begin()
    assert [call.fail(ANOTHER_TARGET[name]) for _ in range(3)] == [(1, 0.0), (2, 0.0), None]
    alone = Call(base=0)
    alone.begin()
    assert alone.fail(ANOTHER_TARGET[name]) is None


@pytest.mark.parametrize("name", ANOTHER_TARGET)
def test_failures_that_another_target_may_not_have_open_the_breaker(name: str) -> None:
    call = Call(2)
    for _ in range(4):
        call.breakers[0].failed(call.now)
    call.begin()
    call.fail(ANOTHER_TARGET[name])
    assert call.is_open(0)


@pytest.mark.parametrize("name", FINAL_ERRORS)
def test_other_errors_end_the_call_and_leave_the_breaker_as_it_is(name: str) -> None:
    call = Call(2, base=0)
    for _ in range(4):
        call.breakers[0].failed(call.now)
    call.begin()
    assert call.fail(FINAL_ERRORS[name]) is None
    assert not call.is_open(0)
    call.breakers[0].failed(call.now)
    assert call.is_open(0)


# ----------------------------------------------------------------------------------------------------------- the budget


def test_each_retry_takes_from_the_budget_until_it_is_spent() -> None:
    call = Call(base=0, max_attempts=1000)
    call.begin()
    assert [call.fail(throttled()) for _ in range(101)] == [(0, 0.0)] * 100 + [None]
    assert call.budget.left == 0


def test_a_spent_budget_does_not_prevent_failover() -> None:
    call = Call(2, base=0)
    while call.budget.take():
        pass
    call.begin()
    assert [call.fail(throttled()) for _ in range(2)] == [(1, 0.0), None]


def test_a_policy_may_ignore_the_budget() -> None:
    call = Call(base=0, max_attempts=200, budget=False)
    while call.budget.take():
        pass
    call.begin()
    assert [call.fail(throttled()) for _ in range(200)] == [(0, 0.0)] * 199 + [None]
    for _ in range(4):
        call.retries.succeeded()
    assert call.budget.left == 0  # one token for each success: the retries took none
    call.retries.succeeded()
    assert call.budget.left == 1


def test_a_success_after_retries_returns_one_retry() -> None:
    call = Call(base=0)
    call.begin()
    for _ in range(2):
        call.fail(throttled())
    assert call.budget.left == 98
    call.retries.succeeded()
    assert call.budget.left == 99


def test_a_success_after_failover_alone_returns_one_token() -> None:
    call = Call(2, base=0)
    call.budget.take()
    call.begin()
    call.fail(throttled())
    for _ in range(4):
        call.retries.succeeded()
    assert call.budget.left == 99
    call.retries.succeeded()
    assert call.budget.left == 100


FAILURES: list[errors.BedrockStreamError] = [
    throttled(),
    throttled(retry_after=3.0),
    stale(),
    service_error("ValidationException"),
    *ANOTHER_TARGET.values(),
    *FINAL_ERRORS.values(),
]


@given(
    targets=st.integers(1, 4),
    attempts=st.integers(1, 5),
    down=st.sets(st.integers(0, 3)),
    failures=st.lists(st.sampled_from(FAILURES), min_size=20, max_size=20),
    chance=st.floats(0, 1),
)
def test_a_call_ends_after_its_attempts(
    targets: int, attempts: int, down: set[int], failures: list[errors.BedrockStreamError], chance: float
) -> None:
    call = Call(targets, max_attempts=attempts, base=2.0, cap=4.0, chance=chance)
    call.open_breakers(*(target for target in down if target < len(call.breakers)))
    sent = [call.begin()]
    for error in failures:
        following = call.fail(error)
        if following is None:
            break
        target, wait = following
        assert 0 <= target < targets
        assert 0 <= wait <= 4.0
        sent.append(target)
    assert len(sent) <= attempts + targets - 1
    assert call.budget.left >= 100 - (attempts - 1)
