"""JSON of a request as structs. Raises `InvalidRequest` with the path of an invalid member."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import msgspec

from ...errors import InvalidRequest
from ...types.checks import check_cost

__all__ = ("INVALID_JSON", "WHOLE_BODY", "RequestBody", "check_depth", "decode", "decode_object", "read_body")

RequestBody: TypeAlias = Mapping[str, Any] | list[Any] | bytes | bytearray | memoryview | str
"""The body of a request: JSON, or what was decoded from it."""

INVALID_JSON = "invalid_json"
"""The code of an error about a document that is not JSON."""
WHOLE_BODY = "body"
"""The path of an error about no member in particular."""

_Decoded = TypeVar("_Decoded")

# Deeper values could not be encoded again from within the stack of a web framework.
_MAX_DEPTH = 100


def read_body(body: RequestBody, max_bytes: int) -> bytes:
    """Return a body as JSON. Raises `InvalidRequest` for a body that is too large, or not JSON at all."""
    if isinstance(body, str):
        body = body.encode("utf-8", "surrogatepass")  # JSON does not allow surrogates, so they are refused below
    elif isinstance(body, Mapping | list):
        try:
            body = msgspec.json.encode(body)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidRequest(WHOLE_BODY, f"cannot be written as JSON: {error}"[:300], code=INVALID_JSON) from None
    elif not isinstance(body, bytes | bytearray | memoryview):
        kind = type(body).__name__
        raise InvalidRequest(
            WHOLE_BODY, f"expected bytes, a str, a dict or a list, got {kind}", "pass the request's body"
        )
    if len(body) > max_bytes:
        problem = f"expected at most {max_bytes} bytes, got {len(body)}"
        raise InvalidRequest(WHOLE_BODY, problem, "send less, or raise max_bytes", status=413, code="request_too_large")
    return bytes(body)


def decode(decoder: Callable[[bytes | msgspec.Raw], _Decoded], document: bytes | msgspec.Raw, at: str = "") -> _Decoded:
    """Decode JSON. `at` is the path of the document itself."""
    try:
        return decoder(document)
    except msgspec.ValidationError as error:
        # msgspec reports the path as "... - at `$.messages[0].role`".
        message, _, path = str(error).partition(" - at ")
        member = (at + path.strip("`").removeprefix("$")).lstrip(".")
        raise InvalidRequest(member or WHOLE_BODY, message) from None
    except (ValueError, RecursionError):
        raise InvalidRequest(at or WHOLE_BODY, "is not valid JSON", code=INVALID_JSON) from None


def decode_object(document: bytes, path: str) -> dict[str, Any]:
    """Decode a JSON object of any content."""
    try:
        check_cost(document)
        value = msgspec.json.decode(document)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidRequest(path, "expected a JSON object")
    return value


def check_depth(value: Any, path: str) -> None:
    """Check that a value is not nested deeper than can be sent on."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            part
            for one in level
            if isinstance(one, dict | list)
            for part in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise InvalidRequest(path, f"expected at most {_MAX_DEPTH} levels of nesting")
