"""Paths of bedrock-mantle that were learned: it serves each model under one of two prefixes, and refuses the other.

The table of `request.surfaces` may be older than the service. A refusal of the prefix before any event is answered by
sending the same request under the other prefix, once for a call. A prefix that was not refused is remembered.
"""

from __future__ import annotations

import re

from ..errors import AccessDenied, BedrockStreamError, ValidationFailed
from ..request.call import Call

__all__ = ("Prefixes",)

_MAX = 1024  # ids that are passed call by call must not pile up

# The service's words: a 400, or a 401 that is misleading.
_REFUSED = re.compile(r"isn.t supported on this route|not supported on this route")
_DISABLED = re.compile(r"is not enabled")


class Prefixes:
    """The prefixes that one client has learned, by endpoint, API and model."""

    __slots__ = ("_learned",)

    def __init__(self) -> None:
        self._learned: dict[tuple[str, str, str], str] = {}

    def known(self, call: Call) -> Call:
        """Return a call under the prefix that was learned for it, if any."""
        if call.prefix is None or self._learned.get(_key(call)) in (None, call.prefix):
            return call
        return call.under_other_prefix()

    def other(self, call: Call, error: BedrockStreamError) -> Call | None:
        """Return the call under the other prefix if the service refused this one."""
        return call.under_other_prefix() if call.prefix is not None and is_refusal(error) else None

    def learn(self, call: Call) -> None:
        """Remember the prefix of a call that was sent again and not refused."""
        if call.prefix is not None and (len(self._learned) < _MAX or _key(call) in self._learned):
            self._learned[_key(call)] = call.prefix


def is_refusal(error: BedrockStreamError) -> bool:
    """Return whether an error says that the model is not served at this path."""
    if isinstance(error, ValidationFailed):
        return _REFUSED.search(error.message) is not None
    return isinstance(error, AccessDenied) and error.status == 401 and _DISABLED.search(error.message) is not None


def _key(call: Call) -> tuple[str, str, str]:
    return call.destination.endpoint.url, call.dialect.route, call.model.id
