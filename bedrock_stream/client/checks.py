"""Checks that a response is what was asked for.

One that is not becomes its error here: a service error, a proxy's page or a redirect.
"""

from __future__ import annotations

import asyncio
import math
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import msgspec

from ..errors import (
    BedrockStreamError,
    NotAnEventStream,
    ServiceError,
    service_error,
)
from ..request.call import Call
from ..request.http import EVENT_STREAM, JSON

if TYPE_CHECKING:
    from ..transport.http_response import HttpResponse

__all__ = ("check", "http_error")

_ERROR_BODY = 64 * 1024  # bytes; more than any error's body needs
_PAGE_BODY = 200  # bytes of a body that is not Bedrock's
_ERROR_BODY_SECONDS = 5.0  # the status, which says the most, is already here


async def check(call: Call, response: HttpResponse) -> None:
    """Close the response and raise unless it is what was asked for.

    Raises `ServiceError` for an error status, `NotAnEventStream` for a response that is not Bedrock's.
    """
    try:
        await _check(call, response)
    except BaseException:
        response.close()
        raise


async def _check(call: Call, response: HttpResponse) -> None:
    if response.status >= 400:
        raise http_error(response, await _read_start(call, response, _ERROR_BODY))
    content_type = response.header("Content-Type")
    media_type = (content_type or "").partition(";")[0].strip().lower()
    expected = EVENT_STREAM if call.streaming else JSON
    if response.status != 200 or media_type not in ("", expected):  # a proxy may have dropped the header
        body = await _read_start(call, response, _PAGE_BODY)
        raise NotAnEventStream(response.status, content_type, body[:_PAGE_BODY])


async def _read_start(call: Call, response: HttpResponse, enough: int) -> bytes:
    """Return the start of a body: what has arrived when it is enough, breaks off or takes too long."""
    body = b""
    try:
        async with asyncio.timeout(min(call.timeouts.idle or _ERROR_BODY_SECONDS, _ERROR_BODY_SECONDS)):
            while len(body) < enough and (data := await response.read()):
                body += data
    except (BedrockStreamError, TimeoutError):
        pass  # the status alone says enough
    return body


def http_error(response: HttpResponse, body: bytes) -> ServiceError:
    """Return the service error of a response with an error status.

    The error's type is in a header, or else in the body. A proxy may have removed both; the status remains.
    """
    try:
        document = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        document = {"message": body[:200].decode("utf-8", "replace")}
    type_name = response.header("x-amzn-ErrorType") or document.get("code") or document.get("__type") or ""
    # `com.amazon.coral#ThrottlingException:http://...` -> `ThrottlingException`
    code = str(type_name).partition(":")[0].rpartition("#")[2].partition(",")[0].strip()
    message = document.get("message") or document.get("Message") or ""
    error = service_error(code or None, str(message), response.status, extra=document)
    error.retry_after = _retry_after(response)
    return error


def _retry_after(response: HttpResponse) -> float | None:
    """Return the seconds that the service asks to wait: AWS's own header in milliseconds, or HTTP's."""
    milliseconds, standard = response.header("x-amz-retry-after"), response.header("Retry-After")
    try:
        if milliseconds is not None:
            seconds = int(milliseconds) / 1000
        elif standard is None:
            return None
        elif standard.strip().isdigit():
            seconds = float(standard)
        else:
            # Both dates are the service's, so this machine's clock does not matter.
            sent = response.header("Date") or ""
            seconds = (parsedate_to_datetime(standard) - parsedate_to_datetime(sent)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
