"""Read what a short-term Bedrock API key says of itself: its region and its end. Pure.

It is `bedrock-api-key-` and the Base64 form of a presigned URL. Long-term keys say nothing.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

__all__ = ("read_api_key",)

_PREFIX = "bedrock-api-key-"


def read_api_key(token: str) -> tuple[str | None, datetime | None]:
    """Return the region and the end of an API key, each None if it does not say."""
    if not token.startswith(_PREFIX):
        return None, None
    text = token.removeprefix(_PREFIX)
    try:
        url = b64decode(text + "=" * (-len(text) % 4)).decode()
        query = {name.lower(): values[0] for name, values in parse_qs(url.partition("?")[2]).items()}
    except (binascii.Error, ValueError):
        return None, None
    scope = query.get("x-amz-credential", "").split("/")  # key id/date/region/service/aws4_request
    return scope[2] if len(scope) == 5 else None, _end(query.get("x-amz-date", ""), query.get("x-amz-expires", ""))


def _end(date: str, lifetime: str) -> datetime | None:
    try:
        began = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return began + timedelta(seconds=int(lifetime))
    except (ValueError, OverflowError):
        return None
