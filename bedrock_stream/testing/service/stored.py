"""The responses that the emulator stores, so that `previous_response_id` continues their conversations."""

from __future__ import annotations

from typing import Any

__all__ = ("StoredResponses",)

_MOST = 1000  # conversations; the oldest goes first


class StoredResponses:
    """The conversations of one emulator, as messages of Converse, by the id of their last response."""

    def __init__(self) -> None:
        self._conversations: dict[str, list[dict[str, Any]]] = {}

    def keep(self, identity: str, messages: list[dict[str, Any]]) -> None:
        """Store a conversation."""
        self._conversations[identity] = messages
        if len(self._conversations) > _MOST:
            del self._conversations[next(iter(self._conversations))]

    def find(self, identity: str) -> list[dict[str, Any]] | None:
        """Return a conversation; None if that response is not stored."""
        return self._conversations.get(identity)
