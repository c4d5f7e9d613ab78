"""What many processes share in Redis: `RedisQuota`, and `RedisLog` for the answers of a `Relay`.

Needs `pip install "bedrock-stream[redis]"`, and Redis 6 or newer.
"""

from __future__ import annotations

from ...errors import ConfigurationError

try:
    from .quota import RedisQuota
    from .relay_log import RedisLog
except ImportError as _error:
    # Only a missing dependency gets a remedy; any other failed import is a bug.
    if not (_error.name or "").startswith("redis"):
        raise
    raise ConfigurationError("redis", "redis-py is not installed", 'pip install "bedrock-stream[redis]"') from None

__all__ = ("RedisLog", "RedisQuota")
