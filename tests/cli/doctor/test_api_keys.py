"""What a short-term API key says of itself, and that nothing can make the reading of one fail."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream.cli.doctor.api_keys import read_api_key

PREFIX = "bedrock-api-key-"
NOTHING = (None, None)


def _key(query: str) -> str:
    return PREFIX + b64encode(f"bedrock.amazonaws.com/?{query}".encode()).decode()


def test_a_short_term_key() -> None:
    query = (
        "Action=CallWithBearerToken&X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=ASIA%2F20260102%2Feu-west-1%2Fbedrock%2Faws4_request"
        "&X-Amz-Date=20260102T030405Z&X-Amz-Expires=43200&X-Amz-Signature=abc&Version=1"
    )
    expected = ("eu-west-1", datetime(2026, 1, 2, 15, 4, 5, tzinfo=UTC))
    assert read_api_key(_key(query)) == expected
    assert read_api_key(_key(query).rstrip("=")) == expected


@pytest.mark.parametrize(
    "key",
    ["ABSKlong-term", PREFIX, f"{PREFIX}example", _key("a=b"), _key("X-Amz-Date=20269999T030405Z&X-Amz-Expires=1"),
     _key(f"X-Amz-Date=20260102T030405Z&X-Amz-Expires={10**18}"), _key("X-Amz-Credential=a%2Fb")],
)  # fmt: skip
def test_a_key_that_says_nothing(key: str) -> None:
    assert read_api_key(key) == NOTHING


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes(data: bytes) -> None:
    read_api_key(PREFIX + b64encode(data).decode())
    read_api_key(PREFIX + data.decode("latin-1"))
