"""Connections to Redis: from a URL, a bounded number of them for each event loop."""

from __future__ import annotations

from time import monotonic
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from ...errors import ConfigurationError
from ...types.settings import Masked

__all__ = ("GONE", "SECONDS", "Absence", "Address", "check_name", "connect", "read_url")

_CONNECTIONS = 8  # of each event loop

SECONDS = 5.0
"""How long an answer may take; less would take a process that is busy for a Redis that is gone."""

GONE = (RedisError, OSError, TimeoutError)
"""What is raised where Redis does not answer."""


class Absence:
    """Whether Redis is gone, as far as one user of it knows. From time to time it is asked whether it is back."""

    __slots__ = ("_seconds", "_until")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds  # until it is asked again
        self._until: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether the last question failed."""
        return self._until is not None

    @property
    def is_current(self) -> bool:
        """Whether to go on without it, and not to ask it yet."""
        return self._until is not None and monotonic() < self._until

    def begin(self) -> bool:
        """Note a question that failed. Return whether it is the first one."""
        is_first, self._until = self._until is None, monotonic() + self._seconds
        return is_first

    def end(self) -> bool:
        """Note an answer. Return whether Redis was gone."""
        was_gone, self._until = self._until is not None, None
        return was_gone


class Address(Masked, frozen=True):
    """The arguments of a connection, which may contain a password."""

    options: dict[str, Any]


def connect(address: Address) -> Redis:
    """Return a client for the running event loop."""
    options = {
        "max_connections": _CONNECTIONS,
        "timeout": None,  # ours is around the whole question
        "socket_timeout": None,  # redis-py's uses `asyncio.wait_for`, which loses cancellations before Python 3.12
        "socket_connect_timeout": SECONDS,
        "retry": Retry(NoBackoff(), 1),  # a connection that was idle may be dead
        **address.options,
    }
    return Redis.from_pool(BlockingConnectionPool(**options))


def check_name(argument: str, value: Any) -> str:
    """Return a name. Raises `ConfigurationError`."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(argument, f"expected a name, got {value!r}")
    return value


def read_url(argument: str, url: Any) -> Address:
    """Return what a URL says. Raises `ConfigurationError`, without the URL, which may contain a password."""
    try:
        return Address(dict(parse_url(url)))
    except (ValueError, TypeError, AttributeError):
        pass
    raise ConfigurationError(argument, "is not the URL of a Redis server", "use redis://HOST:PORT")
