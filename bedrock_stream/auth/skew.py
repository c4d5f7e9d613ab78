"""Clock skew of each service host, learned from refused signatures.

A service refuses a signature whose date is more than five minutes from its own clock, and its error names its time. So
no extra request is needed to get the time: a refusal sets an offset for the host, which is added to the local clock for
every later signature. A request can also be refused although the clock is right, because it aged on its way; signing
it again helps there too.

Pure: the local clock is passed in. Thread-safe without a lock: each offset is a single dict value that is replaced as
a whole, and the last refusal wins. What one host reports changes the time for no other host.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import msgspec

__all__ = ("ClockRefusal", "ServiceClocks", "describe_refusal", "read_refusal")

_ZERO = timedelta(0)
# Both the error text and the `Date` header have whole seconds, and the response took time to arrive.
_TOLERANCE = timedelta(seconds=5)
# A wrong time zone is hours off, a machine that slept or was restored is days off. A clock further off than this rarely
# gets past TLS, so a larger offset is more likely forged: it would yield signatures that are valid in the far future.
_MAX_OFFSET = timedelta(days=30)

_DATE_REFUSED = re.compile(r"signature (?:expired|not yet current)", re.IGNORECASE)
_TIME = re.compile(r"(?<![0-9])[0-9]{8}T[0-9]{6}Z")


class ClockRefusal(msgspec.Struct, frozen=True):
    """The three times in the error with which a service refuses a signature's date."""

    sent: datetime
    """The date of the request."""
    limit: datetime
    """The oldest, or the latest, date that would have been accepted."""
    server_now: datetime
    """The service's own time."""

    @property
    def age(self) -> timedelta:
        """Age of the request when the service checked it; negative if it was dated in the future."""
        return self.server_now - self.sent


def read_refusal(message: str) -> ClockRefusal | None:
    """Parse the three times in a service's error message; None if it does not have them.

    >>> refusal = read_refusal(
    ...     "Signature expired: 20250130T203827Z is now earlier than 20250130T204131Z (20250130T204631Z - 5 min.)"
    ... )
    >>> str(refusal.age)
    '0:08:04'
    """
    prefix = _DATE_REFUSED.search(message)
    if prefix is None:
        return None
    try:
        sent, limit, server_now = map(datetime.fromisoformat, _TIME.findall(message, prefix.end()))
    except ValueError:  # an invalid date such as month 13, or a number of times other than three
        return None
    return ClockRefusal(sent, limit, server_now)


def describe_refusal(refusal: ClockRefusal | None, skew: timedelta) -> str:
    """Return why a date was refused, for an error's message: the request's age and the local clock's error.

    >>> describe_refusal(None, timedelta(seconds=484))
    "the local clock is 484 s behind the service's"
    """
    if abs(skew) <= _TOLERANCE:
        clock = "the local clock agrees with the service's"
    else:
        clock = f"the local clock is {_seconds(skew)} s {'behind' if skew > _ZERO else 'ahead of'} the service's"
    if refusal is None:
        return clock
    if refusal.age >= _ZERO:
        return f"the request was {_seconds(refusal.age)} s old when the service checked it, {clock}"
    return f"the request was dated {_seconds(refusal.age)} s ahead of the service's time, {clock}"


class ServiceClocks:
    """The time at each service host, shared by all loops and threads of a client.

    `base` is the local clock; it returns timezone-aware datetimes.
    """

    __slots__ = ("_base", "_offsets")

    def __init__(self, base: Callable[[], datetime]) -> None:
        self._base = base
        self._offsets: dict[str, timedelta] = {}  # by lower-case host; a host that agrees with the local clock has none

    def now(self, host: str) -> datetime:
        """Return the time at this host, timezone-aware."""
        return self._base() + self.skew(host)

    def local_now(self) -> datetime:
        """Return the local time, timezone-aware, which no host corrects."""
        return self._base()

    def skew(self, host: str) -> timedelta:
        """Return how far the local clock is behind this host's; negative if ahead, zero until a date is refused."""
        return self._offsets.get(host.lower(), _ZERO)

    def learn(self, host: str, date_header: str | None, message: str) -> bool:
        """Set the host's offset from a refusal's text, or its `Date` header. Return True if signing again may help.

        It does not help if the refusal has no plausible time, or if the request's date was right as far as is known.
        """
        refusal = read_refusal(message)
        base = self._base()
        times = (None if refusal is None else refusal.server_now, _parse_date(date_header))
        offset = next((time - base for time in times if time is not None and abs(time - base) <= _MAX_OFFSET), None)
        if offset is None:
            return False
        if abs(offset - self.skew(host)) > _TOLERANCE:
            self._set(host, offset)
            return True
        # The clock is right, or another request has corrected it in the meantime: then only this request's date was
        # wrong, because it aged or was signed before the correction.
        return refusal is None or abs(refusal.age) > _TOLERANCE

    def _set(self, host: str, offset: timedelta) -> None:
        if abs(offset) > _TOLERANCE:
            self._offsets[host.lower()] = offset
        else:
            self._offsets.pop(host.lower(), None)


def _parse_date(header: str | None) -> datetime | None:
    if header is None:
        return None
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date  # RFC 5322: `-0000` is UTC, and parsed as naive


def _seconds(span: timedelta) -> int:
    return round(abs(span).total_seconds())
