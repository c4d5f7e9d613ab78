"""A request to the newer surfaces: what its checks need besides the body, and the endpoint that it is meant for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from .stored import StoredResponses

__all__ = ("Asked", "Endpoint", "meant_endpoint")

Endpoint: TypeAlias = Literal["runtime", "mantle"]


class Asked(NamedTuple):
    """One request."""

    body: dict[str, Any]
    model: str
    path: str = ""
    """The path of the request line, without the query."""
    headers: Mapping[str, str] = {}
    endpoint: Endpoint | None = None
    """The endpoint that it is meant for; None if both have the path and nothing tells which."""
    stored: StoredResponses | None = None
    models: Collection[str] | None = None
    """The models that exist; None for all."""


def meant_endpoint(service: str | None, played: Endpoint | None, *, only_mantle: bool) -> Endpoint | None:
    """Return the endpoint that a request is meant for, which its host would tell at AWS.

    `played` is the one that the emulator plays alone. Else a signature for `bedrock-mantle` tells, or a path that only
    mantle has. A signature for `bedrock` does not, since mantle takes both.
    """
    if played is not None:
        return played
    return "mantle" if only_mantle or service == "bedrock-mantle" else None
