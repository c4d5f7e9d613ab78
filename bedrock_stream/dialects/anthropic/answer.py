"""Complete responses of the Messages API."""

from __future__ import annotations

from typing import Any

from ...types.events import Metadata
from ..base import ParsedResponse
from ..documents import take_blocked, take_metrics, take_trace, with_total
from ..payloads import without_nulls
from ..tool_input import check_call
from .blocks import read_block
from .reader import read_stop, read_usage

__all__ = ("parse",)

_KNOWN = frozenset({"content", "id", "model", "role", "type", "usage", "stop_reason", "stop_sequence"})


def parse(wire: dict[str, Any]) -> ParsedResponse:
    """Parse a response. Unknown members become `Metadata.extra`."""
    blocks = [check_call(index, read_block(block)) for index, block in enumerate(wire["content"])]
    blocked = take_blocked(wire)
    metadata = _metadata(wire)
    stop = read_stop({key: wire.get(key) for key in ("stop_reason", "stop_sequence")}, blocked=blocked)
    return blocks, stop, metadata


def _metadata(wire: dict[str, Any]) -> Metadata:
    usage = wire.get("usage")
    counts = Metadata(usage=read_usage(usage) if isinstance(usage, dict) else None)
    metadata = take_trace(wire).merged(counts).merged(take_metrics(wire))
    extra = {key: value for key, value in without_nulls(wire).items() if key not in _KNOWN}
    return with_total(metadata.merged(Metadata(extra=extra)))
