"""The prompt cache: hashes of the prefixes of earlier requests. Entries never expire and have no minimum length.

A cache point stores the prefix before it. A later request reads the longest stored prefix that ends at or before its
own last cache point, and writes the rest up to that cache point.
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
    """The prompt cache of one emulator."""

    def __init__(self) -> None:
        self._stored: set[bytes] = set()

    def update(self, body: dict[str, Any], model: str) -> Cached | None:
        """Store a request's prefixes and return the tokens it reads and writes; None if it has no cache points."""
        # The model is part of the hash, because each model has its own cache.
        digest, tokens, read = sha256(model.encode()), 0, 0
        prefixes: list[tuple[bytes, int]] = []
        points: list[tuple[bytes, int, str]] = []
        for _, role, blocks in sections(body):
            tokens += count_input(role) if role in ("user", "assistant") else 0
            for block in blocks:
                if "cachePoint" in block:
                    points.append((digest.digest(), tokens, block["cachePoint"].get("ttl", "5m")))
                    continue
                digest.update(msgspec.json.encode([role, block], order="deterministic"))
                tokens += count_input(block)
                prefixes.append((digest.digest(), tokens))
        if not points:
            return None
        end = points[-1][1]
        read = max((size for prefix, size in prefixes if prefix in self._stored and size <= end), default=0)
        written: dict[str, int] = {}
        position = read
        for prefix, size, ttl in points:
            # Each token is written once, with the TTL of the first cache point after it.
            if size > position:
                written[ttl] = written.get(ttl, 0) + size - position
                position = size
            self._stored.add(prefix)
        return Cached(read, dict(sorted(written.items())))
