"""Clock skew: learning from a refusal, implausible times, and the description in an error."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bedrock_stream.auth.skew import ClockRefusal, ServiceClocks, describe_refusal, read_refusal
from bedrock_stream.auth.sources import SourceContext

NOON = datetime(2025, 1, 30, 12, tzinfo=UTC)
HOST = "bedrock-runtime.us-east-1.amazonaws.com"
NO_TIMES = "The difference between the request time and the current time is too large."


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%SZ")


def expired(sent: datetime, server: datetime) -> str:
    limit = server - seconds(300)
    return f"Signature expired: {stamp(sent)} is now earlier than {stamp(limit)} ({stamp(server)} - 5 min.)"


def not_yet_current(sent: datetime, server: datetime) -> str:
    limit = server + seconds(300)
    return f"Signature not yet current: {stamp(sent)} is still later than {stamp(limit)} ({stamp(server)} + 5 min.)"


def date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


class Clock:
    """A local clock that a test sets."""

    def __init__(self, time: datetime = NOON) -> None:
        self.time = time

    def __call__(self) -> datetime:
        return self.time


# --------------------------------------------------------------------------------------------------- parsing a refusal


def test_the_three_times_of_an_expired_signature_are_parsed() -> None:
    message = "Signature expired: 20250130T203827Z is now earlier than 20250130T204131Z (20250130T204631Z - 5 min.)"
    refusal = read_refusal(message)
    assert refusal == ClockRefusal(
        datetime(2025, 1, 30, 20, 38, 27, tzinfo=UTC),
        datetime(2025, 1, 30, 20, 41, 31, tzinfo=UTC),
        datetime(2025, 1, 30, 20, 46, 31, tzinfo=UTC),
    )
    assert refusal is not None
    assert refusal.age == seconds(484)


def test_the_three_times_of_a_signature_from_the_future_are_parsed() -> None:
    refusal = read_refusal(not_yet_current(NOON + seconds(900), NOON))
    assert refusal == ClockRefusal(NOON + seconds(900), NOON + seconds(300), NOON)
    assert refusal is not None
    assert refusal.age == seconds(-900)


@pytest.mark.parametrize("before", ["", "InvalidSignatureException: ", "at 20240101T000000Z: "])
@pytest.mark.parametrize("change", [str, str.upper, lambda text: text.replace("5 min.", "15 min")])
def test_text_around_the_times_does_not_matter(before: str, change: Callable[[str], str]) -> None:
    message = change(expired(NOON - seconds(1200), NOON))
    assert read_refusal(before + message) == ClockRefusal(NOON - seconds(1200), NOON - seconds(300), NOON)


@pytest.mark.parametrize(
    "message",
    [
        "",
        NO_TIMES,
        "Signature expired",
        "Signature expired: 20250130T203827Z",
        "Signature expired: 20250130T203827Z is now earlier than 20250130T204131Z",
        "Signature expired: 20251330T203827Z is now earlier than 20250130T204131Z (20250130T204631Z - 5 min.)",
        "Signature expired: 20250130T203827Z is now earlier than 20250130T246131Z (20250130T204631Z - 5 min.)",
        "Signature expired: 00000130T203827Z is now earlier than 20250130T204131Z (20250130T204631Z - 5 min.)",
        f"Signature expired: {chr(0x662)}0250130T203827Z, 20250130T204131Z, 20250130T204631Z",
        "Signature expired: 20250130T203827Z 20250130T203827Z 20250130T203827Z 20250130T203827Z",
        "Credential expired: 20250130T203827Z 20250130T203827Z 20250130T203827Z",
    ],
)
def test_a_text_without_the_three_times_is_not_parsed(message: str) -> None:
    assert read_refusal(message) is None


_PIECES = st.sampled_from(
    ["Signature expired: ", "signature not yet current", "20250130T203827Z", "99999999T999999Z", "(", " - 5 min.)", "T"]
)
_MESSAGES = st.lists(st.one_of(_PIECES, st.text(max_size=12)), max_size=12).map("".join)
_DATES = st.one_of(
    st.none(),
    st.text(max_size=40),
    st.text("0123456789 :+-,GMTJanFebWed", max_size=40),
    st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=14))])).map(format_datetime),
)


@given(_MESSAGES, _DATES)
@example("", "Thu, 01 Jan 0001 00:00:00 +2359")
@example("", "Fri, 31 Dec 9999 23:59:59 -2359")
@example("", "Thu, 99 Jan 99999999999999999999 00:00:00 GMT")
@example("", "Thu, 01 Jan 2025 00:00:00 +99999999999999999999")
def test_arbitrary_input_never_raises_and_never_sets_a_large_offset(message: str, header: str | None) -> None:
    clocks = ServiceClocks(Clock())
    clocks.learn(HOST, header, message)
    assert abs(clocks.skew(HOST)) <= timedelta(days=30)
    assert clocks.now(HOST) == NOON + clocks.skew(HOST)
    assert describe_refusal(read_refusal(message), clocks.skew(HOST))


_MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1)).map(  # noqa: DTZ001  # the zone is set below
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


@given(_MOMENTS, _MOMENTS, st.sampled_from([expired, not_yet_current]))
def test_all_times_a_service_can_name_are_parsed(
    sent: datetime, server: datetime, text: Callable[[datetime, datetime], str]
) -> None:
    refusal = read_refusal(text(sent, server))
    assert refusal is not None
    assert (refusal.sent, refusal.server_now) == (sent, server)
    assert abs(refusal.limit - server) == seconds(300)


# ------------------------------------------------------------------------------------------------------------ learning


def test_a_host_without_a_refusal_has_the_local_time() -> None:
    clocks = ServiceClocks(Clock())
    assert clocks.now(HOST) == NOON
    assert clocks.skew(HOST) == seconds(0)


@pytest.mark.parametrize("apart", [600, -600, 5 * 86_400, -86_400, 30 * 86_400])
def test_a_wrong_clock_is_corrected_by_the_time_in_the_message(apart: int) -> None:
    server = NOON + seconds(apart)
    clocks = ServiceClocks(Clock())
    text = expired if apart > 0 else not_yet_current
    assert clocks.learn(HOST, None, text(NOON, server))
    assert clocks.now(HOST) == server
    assert clocks.skew(HOST) == seconds(apart)


@pytest.mark.parametrize("apart", [600, -600])
def test_without_times_in_the_message_the_date_header_is_used(apart: int) -> None:
    clocks = ServiceClocks(Clock())
    assert clocks.learn(HOST, date(NOON + seconds(apart)), NO_TIMES)
    assert clocks.now(HOST) == NOON + seconds(apart)


def test_the_message_takes_precedence_over_the_date_header() -> None:
    clocks = ServiceClocks(Clock())
    assert clocks.learn(HOST, date(NOON), expired(NOON, NOON + seconds(600)))
    assert clocks.skew(HOST) == seconds(600)


def test_a_date_header_in_another_zone_is_the_same_instant() -> None:
    clocks = ServiceClocks(Clock())
    east = (NOON + seconds(600)).astimezone(timezone(timedelta(hours=9)))
    assert clocks.learn(HOST, format_datetime(east), NO_TIMES)
    assert clocks.skew(HOST) == seconds(600)
    assert clocks.learn(HOST, "Thu, 30 Jan 2025 13:00:00 -0000", NO_TIMES)
    assert clocks.skew(HOST) == seconds(3600)


def test_a_request_that_aged_with_a_right_clock_is_signed_again() -> None:
    clocks = ServiceClocks(Clock())
    assert clocks.learn(HOST, date(NOON), expired(NOON - seconds(400), NOON + seconds(1)))
    assert clocks.now(HOST) == NOON, "a right clock is not changed"


def test_with_a_date_header_only_and_a_right_clock_the_request_must_have_aged() -> None:
    clocks = ServiceClocks(Clock())
    assert clocks.learn(HOST, date(NOON), NO_TIMES)
    assert clocks.now(HOST) == NOON


@pytest.mark.parametrize("text", [expired, not_yet_current])
def test_every_request_signed_with_the_wrong_clock_is_signed_again(
    text: Callable[[datetime, datetime], str],
) -> None:
    server = NOON + seconds(900 if text is expired else -900)
    clocks = ServiceClocks(Clock())
    assert [clocks.learn(HOST, None, text(NOON, server)) for _ in range(3)] == [True, True, True]
    assert clocks.now(HOST) == server


def test_a_date_that_was_right_as_far_as_known_is_not_signed_again() -> None:
    clocks = ServiceClocks(Clock())
    assert not clocks.learn(HOST, date(NOON), expired(NOON, NOON + seconds(2)))
    assert clocks.now(HOST) == NOON


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, ""),
        (None, NO_TIMES),
        ("", NO_TIMES),
        ("yesterday", NO_TIMES),
        (date(NOON + timedelta(days=31)), NO_TIMES),
        (None, expired(NOON, NOON + timedelta(days=31))),
        (date(datetime(1970, 1, 1, tzinfo=UTC)), not_yet_current(NOON, datetime(1970, 1, 1, tzinfo=UTC))),
    ],
)
def test_nothing_is_learned_without_a_plausible_time(header: str | None, message: str) -> None:
    clocks = ServiceClocks(Clock())
    assert not clocks.learn(HOST, header, message)
    assert clocks.now(HOST) == NOON


def test_with_an_implausible_time_in_the_message_the_date_header_is_used() -> None:
    clocks = ServiceClocks(Clock())
    assert clocks.learn(HOST, date(NOON + seconds(600)), expired(NOON, NOON + timedelta(days=4000)))
    assert clocks.skew(HOST) == seconds(600)


def test_hosts_have_their_own_offsets_and_names_are_case_insensitive() -> None:
    clocks = ServiceClocks(Clock())
    clocks.learn(HOST, None, expired(NOON, NOON + seconds(600)))
    assert clocks.skew(HOST.upper()) == seconds(600)
    assert clocks.skew("sts.us-east-1.amazonaws.com") == seconds(0)


def test_the_offset_is_removed_when_the_local_clock_is_corrected() -> None:
    local = Clock(NOON)
    clocks = ServiceClocks(local)
    clocks.learn(HOST, None, expired(NOON, NOON + seconds(600)))
    local.time = NOON + seconds(700)  # corrected, so with the learned offset it is now ahead
    sent = clocks.now(HOST)
    assert sent == NOON + seconds(1300)
    assert clocks.learn(HOST, None, not_yet_current(sent, NOON + seconds(700)))
    assert clocks.now(HOST) == NOON + seconds(700)
    assert clocks.skew(HOST) == seconds(0)


def test_no_host_changes_the_local_time() -> None:
    clocks = ServiceClocks(Clock())
    assert clocks.local_now() == NOON
    assert clocks.learn("a.example", date(NOON + seconds(600)), "")
    assert clocks.learn("b.example", date(NOON + seconds(-900)), "")
    assert clocks.local_now() == NOON
    assert [clocks.skew(f"{name}.example") for name in "abc"] == [seconds(600), seconds(-900), seconds(0)]


def test_the_corrected_time_advances_with_the_local_clock() -> None:
    local = Clock(NOON)
    clocks = ServiceClocks(local)
    clocks.learn(HOST, None, expired(NOON, NOON + seconds(600)))
    local.time += seconds(42)
    assert clocks.now(HOST) == NOON + seconds(642)


def test_many_threads_learn_at_once() -> None:
    clocks = ServiceClocks(Clock())
    start = threading.Barrier(8)
    seen: list[timedelta] = []

    def learn(apart: int) -> None:
        start.wait(10)
        for index in range(200):
            clocks.learn(f"host-{index % 5}", None, expired(NOON, NOON + seconds(apart)))
            seen.append(clocks.skew(f"host-{index % 5}"))

    threads = [threading.Thread(target=learn, args=(600 + 100 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(seen) == 1600
    assert set(seen) <= {seconds(600 + 100 * number) for number in range(8)}


def test_the_clocks_fit_the_context_of_a_source() -> None:
    clocks = ServiceClocks(Clock())
    fields = {field.name: field.type for field in msgspec.structs.fields(SourceContext)}
    assert fields["now"] == Callable[[str], datetime]
    assert fields["learn"] == Callable[[str, str | None, str], bool]
    now: Callable[[str], datetime] = clocks.now
    learn: Callable[[str, str | None, str], bool] = clocks.learn
    assert learn("sts.amazonaws.com", date(NOON + seconds(600)), "") is True
    assert now("sts.amazonaws.com") == NOON + seconds(600)


# ----------------------------------------------------------------------------------------------------- the description


@pytest.mark.parametrize(
    ("refusal", "skew", "sentence"),
    [
        (
            ClockRefusal(NOON, NOON + seconds(184), NOON + seconds(484)),
            seconds(484),
            ("the request was 484 s old when the service checked it, the local clock is 484 s behind the service's"),
        ),
        (
            ClockRefusal(NOON, NOON + seconds(31), NOON + seconds(331)),
            seconds(0),
            "the request was 331 s old when the service checked it, the local clock agrees with the service's",
        ),
        (
            ClockRefusal(NOON, NOON - seconds(600), NOON - seconds(900)),
            seconds(-900),
            (
                "the request was dated 900 s ahead of the service's time, "
                "the local clock is 900 s ahead of the service's"
            ),
        ),
        (None, seconds(-30), "the local clock is 30 s ahead of the service's"),
    ],
)
def test_a_refusal_is_described_in_a_sentence(refusal: ClockRefusal | None, skew: timedelta, sentence: str) -> None:
    assert describe_refusal(refusal, skew) == sentence
