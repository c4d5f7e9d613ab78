"""Which prompts were cached: the prefixes of earlier requests, as hashes. Nothing expires and nothing is too short.

A cache point makes everything in front of it known. A later request reads the longest prefix that is known and ends at
or before its own last cache point, and writes what lies between its cache points and that.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from .facts import Cached
from .tokens import count_input
from .turns import sections

__all__ = ("PromptCache",)


class PromptCache:
    """The cache of one emulator."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()

    def look(self, body: dict[str, Any], model: str) -> Cached | None:
        """What a request finds and leaves here; None where it marks nothing."""
        digest, tokens, read = sha256(model.encode()), 0, 0
        found: list[tuple[bytes, int]] = []
        marks: list[tuple[bytes, int, str]] = []
        for _, role, blocks in sections(body):
            tokens += count_input(role) if role in ("user", "assistant") else 0
            for block in blocks:
                if "cachePoint" in block:
                    marks.append((digest.digest(), tokens, block["cachePoint"].get("ttl", "5m")))
                    continue
                digest.update(msgspec.json.encode([role, block], order="deterministic"))
                tokens += count_input(block)
                found.append((digest.digest(), tokens))
        if not marks:
            return None
        end = marks[-1][1]
        read = max((size for prefix, size in found if prefix in self._known and size <= end), default=0)
        written: dict[str, int] = {}
        before = read
        for prefix, size, ttl in marks:
            if size > before:
                written[ttl] = written.get(ttl, 0) + size - before
                before = size
            self._known.add(prefix)
        return Cached(read, dict(sorted(written.items())))
