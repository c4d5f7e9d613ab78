"""The services' clocks, as learned from their refusals.

A service refuses a signature whose date is more than five minutes from its own clock, and says in the refusal what time
it has. So nobody is asked for the time, and a right clock costs nothing: only a refusal moves an offset, which is then
added to the local clock for every later signature to that host. One request may also be refused by a right clock, since
it aged on its way; signing anew helps there too.

Pure: the local clock is handed in. Safe in any number of threads, with no lock: each offset is one value in a dict,
read once and written whole, and whoever writes last was told the time last.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import msgspec

__all__ = ("ClockRefusal", "ServiceClocks", "describe_refusal", "read_refusal")

_NONE = timedelta(0)
# Both sources of the time are cut to whole seconds, and the answer was on its way for a moment.
_TOLERANCE = timedelta(seconds=5)
# A zone taken for UTC is hours off, a machine that slept or was restored days. A clock further off than this would
# rarely get past TLS, and a service's time that is so far from ours is more likely made up: who could make us believe
# it would get signatures for a far future.
_FARTHEST = timedelta(days=30)

_SPEAKS = re.compile(r"signature (?:expired|not yet current)", re.IGNORECASE)
_TIME = re.compile(r"(?<![0-9])[0-9]{8}T[0-9]{6}Z")


class ClockRefusal(msgspec.Struct, frozen=True):
    """The three times that a service names when it refuses a signature for its date."""

    sent: datetime
    """The date in the request."""
    limit: datetime
    """The oldest, or the latest, that would have been taken."""
    server_now: datetime
    """The service's own time."""

    @property
    def age(self) -> timedelta:
        """How old the request was when the service looked at it; negative where it was dated ahead."""
        return self.server_now - self.sent


def read_refusal(message: str) -> ClockRefusal | None:
    """The times in a service's words; None where it names none.

    >>> refusal = read_refusal(
    ...     "Signature expired: 20250130T203827Z is now earlier than 20250130T204131Z (20250130T204631Z - 5 min.)"
    ... )
    >>> str(refusal.age)
    '0:08:04'
    """
    begin = _SPEAKS.search(message)
    if begin is None:
        return None
    try:
        sent, limit, server_now = map(datetime.fromisoformat, _TIME.findall(message, begin.end()))
    except ValueError:  # a month 13, or not three of them
        return None
    return ClockRefusal(sent, limit, server_now)


def describe_refusal(refusal: ClockRefusal | None, skew: timedelta) -> str:
    """Why a date was refused, for an error's message: the request's age and the local clock's error.

    >>> describe_refusal(None, timedelta(seconds=484))
    "the local clock is 484 s behind the service's"
    """
    if abs(skew) <= _TOLERANCE:
        clock = "the local clock agrees with the service's"
    else:
        clock = f"the local clock is {_seconds(skew)} s {'behind' if skew > _NONE else 'ahead of'} the service's"
    if refusal is None:
        return clock
    if refusal.age >= _NONE:
        return f"the request was {_seconds(refusal.age)} s old when the service looked at it, {clock}"
    return f"the request was dated {_seconds(refusal.age)} s ahead of the service's time, {clock}"


class ServiceClocks:
    """What time it is at each host. One object for a whole client, all its loops and threads.

    `base` is the local clock; it gives aware datetimes.
    """

    __slots__ = ("_base", "_latest", "_offsets")

    def __init__(self, base: Callable[[], datetime]) -> None:
        self._base = base
        self._offsets: dict[str, timedelta] = {}  # by host in lower case; a right clock has none
        self._latest = _NONE

    def now(self, host: str) -> datetime:
        """The time, aware, as the service at this host tells it."""
        return self._base() + self.skew(host)

    def believed(self) -> datetime:
        """The time, aware, by the host that was heard last: for what is asked of none, such as the end of keys."""
        return self._base() + self._latest

    def skew(self, host: str) -> timedelta:
        """How far the local clock is behind this host's; negative where ahead, zero as long as nobody complains."""
        return self._offsets.get(host.lower(), _NONE)

    def learn(self, host: str, date_header: str | None, message: str) -> bool:
        """Take a refusal that speaks of the clock: its text, and the `Date` of its answer. Whether signing anew helps.

        It does not where no believable time can be read, or where the request's date was right by all that is known.
        """
        refusal = read_refusal(message)
        base = self._base()
        told = (None if refusal is None else refusal.server_now, _read_date(date_header))
        offset = next((time - base for time in told if time is not None and abs(time - base) <= _FARTHEST), None)
        if offset is None:
            return False
        if abs(offset - self.skew(host)) > _TOLERANCE:
            self._set(host, offset)
            return True
        # The clock is right, or another request has corrected it meanwhile: then this one's date is what was wrong.
        return refusal is None or abs(refusal.age) > _TOLERANCE

    def _set(self, host: str, offset: timedelta) -> None:
        if abs(offset) > _TOLERANCE:
            self._latest = self._offsets[host.lower()] = offset
        else:
            self._latest = _NONE
            self._offsets.pop(host.lower(), None)


def _read_date(header: str | None) -> datetime | None:
    """The `Date` header; None where it is missing or no date."""
    if header is None:
        return None
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date


def _seconds(span: timedelta) -> int:
    return round(abs(span).total_seconds())
