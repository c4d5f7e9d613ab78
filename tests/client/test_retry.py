"""The rules of retries as pure classes: `RetryPolicy`, `Budget` and `Breaker`. See `test_retries` for `Retries`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import RetryPolicy, errors
from bedrock_stream.client.retry import Breaker, Budget

chances = st.floats(0, 1)
times = st.floats(0, 1e6)


def throttled(after: float | None = None) -> errors.Throttled:
    error = errors.Throttled("ThrottlingException", "Slow down.", 429)
    error.retry_after = after
    return error


# ---------------------------------------------------------------------------------------------------------------- waits


@given(base=times, cap=times, retries=st.integers(0, 5000), chance=chances)
def test_no_wait_is_longer_than_the_cap_or_its_own_step(base: float, cap: float, retries: int, chance: float) -> None:
    policy = RetryPolicy(max_attempts=10_000, base=base, cap=cap, total=None)
    wait = policy.wait(throttled(), retries, 0.0, chance)
    assert wait is not None
    assert 0 <= wait <= cap
    assert wait <= base * 2 ** min(retries, 64)


def test_waits_are_fully_jittered_and_double() -> None:
    policy = RetryPolicy(base=1.0, cap=5.0, max_attempts=9)
    assert [policy.wait(throttled(), retries, 0.0, 1.0) for retries in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert [policy.wait(throttled(), 1, 0.0, chance) for chance in (0.0, 0.25, 0.5)] == [0.0, 0.5, 1.0]


@given(requested=times, retries=st.integers(0, 100), chance=chances)
def test_a_wait_is_at_least_what_the_service_requests(requested: float, retries: int, chance: float) -> None:
    policy = RetryPolicy(max_attempts=1000, total=None)
    wait, own = (policy.wait(throttled(after), retries, 0.0, chance) for after in (requested, None))
    assert wait is not None
    assert own is not None
    assert wait == max(requested, own)


@given(elapsed=times, requested=st.none() | times, total=times, chance=chances)
def test_no_retry_starts_after_the_total(elapsed: float, requested: float | None, total: float, chance: float) -> None:
    wait = RetryPolicy(total=total).wait(throttled(requested), 0, elapsed, chance)
    assert wait is None or elapsed + wait <= total


def test_a_wait_longer_than_the_total_is_not_started() -> None:
    assert RetryPolicy(total=60).wait(throttled(after=61), 0, 0.0, 0.0) is None
    assert RetryPolicy(total=None).wait(throttled(after=61), 0, 0.0, 0.0) == 61


@pytest.mark.parametrize(("attempts", "retries", "retried"), [(1, 0, False), (2, 0, True), (2, 1, False), (4, 2, True)])
def test_max_attempts_includes_the_first(attempts: int, retries: int, retried: bool) -> None:
    assert (RetryPolicy(max_attempts=attempts).wait(throttled(), retries, 0.0, 0.5) is not None) is retried


# ----------------------------------------------------------------------------------------------------- retryable errors

RETRIED = [
    "ThrottlingException",
    "TooManyRequestsException",
    "ModelNotReadyException",
    "ModelTimeoutException",
    "ModelStreamErrorException",
    "InternalServerException",
    "ServiceUnavailableException",
]
FINAL = [
    "AccessDeniedException",
    "ConflictException",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "ModelErrorException",
    "ResourceNotFoundException",
    "ServiceQuotaExceededException",
    "UnheardOfException",
    "ValidationException",
]


@pytest.mark.parametrize("code", RETRIED + FINAL)
def test_the_class_of_an_error_decides_on_a_retry(code: str) -> None:
    error = errors.service_error(code, "Something happened.")
    assert (RetryPolicy().wait(error, 0, 0.0, 0.5) is not None) is (code in RETRIED)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("ThrottlingException", "Too many tokens, please wait before trying again.", errors.Throttled),
        ("throttlingException", "Your request rate is too high: input is too long.", errors.Throttled),
        ("ValidationException", "Input is too long for requested model.", errors.ContextWindowExceeded),
        ("ValidationException", "Too many requests, throttled, try again.", errors.ValidationFailed),
    ],
)
def test_the_message_of_an_error_does_not_decide_on_a_retry(code: str, message: str, kind: type) -> None:
    error = errors.service_error(code, message)
    assert type(error) is kind
    assert (RetryPolicy().wait(error, 0, 0.0, 0.5) is not None) is (kind is errors.Throttled)


@pytest.mark.parametrize(
    ("status", "retried"), [(429, True), (500, True), (502, True), (503, True), (504, True), (400, False), (403, False)]
)
def test_without_a_name_the_status_decides_on_a_retry(status: int, retried: bool) -> None:
    assert errors.service_error(None, "", status).retryable is retried


# ----------------------------------------------------------------------------------------------------- invalid policies


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"max_attempts": 0}, "RetryPolicy.max_attempts: expected a positive int, got 0"),
        ({"max_attempts": True}, "RetryPolicy.max_attempts: expected a positive int, got True"),
        ({"max_attempts": 2.0}, "RetryPolicy.max_attempts: expected a positive int, got 2.0"),
        ({"base": -1}, "RetryPolicy.base: expected a finite, non-negative number of seconds, got -1"),
        ({"base": float("nan")}, "RetryPolicy.base: expected a finite, non-negative number of seconds, got nan"),
        ({"cap": float("inf")}, "RetryPolicy.cap: expected a finite, non-negative number of seconds, got inf"),
        ({"cap": None}, "RetryPolicy.cap: expected a finite, non-negative number of seconds, got None"),
        ({"total": "60"}, "RetryPolicy.total: expected a finite, non-negative number of seconds or None, got '60'"),
        ({"total": True}, "RetryPolicy.total: expected a finite, non-negative number of seconds or None, got True"),
        ({"on_retry": 1}, "RetryPolicy.on_retry: expected a function, got 1"),
    ],
)
def test_an_invalid_policy_is_refused(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        RetryPolicy(**arguments)
    assert str(caught.value).startswith(sentence)


def test_a_coroutine_function_as_a_hook_is_refused() -> None:
    async def hook(_attempt: Any) -> None: ...

    with pytest.raises(errors.ConfigurationError, match="got a coroutine function, which is never awaited"):
        RetryPolicy(on_retry=hook)  # type: ignore[arg-type]  # the type checker rejects it, too


def test_the_budget_is_spent_by_retries_and_refilled_by_success() -> None:
    budget = Budget()
    assert [budget.take() for _ in range(101)] == [True] * 100 + [False]
    assert budget.left == 0
    budget.succeeded(retries=2)
    assert budget.left == 1
    for _ in range(5):
        budget.succeeded(retries=0)
    assert budget.left == 2
    for _ in range(10_000):
        budget.succeeded(retries=1)
    assert budget.left == 100


def test_a_breaker_opens_after_five_failures_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(4):
        breaker.failed(now=0.0)
    breaker.succeeded()
    for _ in range(4):
        breaker.failed(now=0.0)
    assert not breaker.is_open(now=0.0)
    breaker.failed(now=1.0)
    assert breaker.is_open(now=1.0)
    assert breaker.is_open(now=30.9)


def test_after_the_pause_one_call_is_sent_to_the_target() -> None:
    breaker = Breaker()
    for _ in range(5):
        breaker.failed(now=0.0)
    assert not breaker.is_open(now=30.0)
    breaker.try_again(now=30.0)
    assert breaker.is_open(now=30.0), "the other calls skip the target until the outcome is known"
    assert not breaker.is_open(now=60.0), "the outcome of that call may never be reported"
    breaker.failed(now=60.0)
    assert breaker.is_open(now=89.0)
    breaker.succeeded()
    assert not breaker.is_open(now=89.0)
