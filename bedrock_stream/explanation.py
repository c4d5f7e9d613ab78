"""What a call would send and why, without sending it; secrets are masked."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ("Explanation",)


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `Client.explain`."""

    model: str
    family: str | None
    route: str
    """`converse` or `invoke`."""
    reason: str
    """Why this route."""
    region: str
    method: str
    url: str
    endpoint_source: str
    """`region`, or the argument, variable or setting that gave the endpoint."""
    auth: str
    """`bearer` or `sigv4`, and where the key would come from."""
    headers: dict[str, str]
    body: dict[str, Any]
