"""Checks that a response is what was asked for.

One that is not becomes its error here: a service error, a proxy's page or a redirect.
"""

from __future__ import annotations

import asyncio
import math
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from ..dialects.base import JSON
from ..dialects.decoding import decode_any
from ..dialects.payloads import document_failure
from ..errors import (
    BedrockStreamError,
    InvalidFrame,
    NotAnEventStream,
    ServiceError,
    service_error,
)
from ..request.call import Call

if TYPE_CHECKING:
    from ..transport.http_response import HttpResponse

__all__ = ("check", "http_error", "request_id_of")

_REQUEST_IDS = ("x-amzn-RequestId", "x-amz-request-id", "x-request-id", "request-id")

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
        body, failure = await _read_start(call, response)
        error = http_error(response, body)
        if isinstance(failure, InvalidFrame) and not error.message:
            error = http_error(response, str(failure).encode())
        raise error
    content_type = response.header("Content-Type")
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if response.status != 200 or media_type not in _expected(call):
        body, failure = await _read_start(call, response)
        if response.status < 300 and (failed := document_failure(body)) is not None:
            failed.retry_after = _retry_after(response)
            raise failed
        coding = response.header("Content-Encoding") if isinstance(failure, InvalidFrame) else None
        raise NotAnEventStream(response.status, content_type, body, coding)


def _expected(call: Call) -> tuple[str, ...]:
    """Return the media types of an answer; an empty one means that a proxy has dropped the header."""
    if call.streaming:
        return "", call.dialect.stream_type
    # The caller of `invoke_model` may ask for another type, of an image for one.
    return "", JSON, *(value.lower() for name, value in call.request.headers if name == "Accept")


async def _read_start(call: Call, response: HttpResponse) -> tuple[bytes, Exception | None]:
    """Return the start of a body: what has arrived when it is enough, breaks off or takes too long, and why."""
    body = b""
    try:
        async with asyncio.timeout(min(call.timeouts.idle or _ERROR_BODY_SECONDS, _ERROR_BODY_SECONDS)):
            while len(body) < _ERROR_BODY and (data := await response.read()):
                body += data
                # A page needs no more than its start.
                if len(body) >= _PAGE_BODY and response.status < 400 and not body.lstrip().startswith(b"{"):
                    break
    except (BedrockStreamError, TimeoutError) as error:
        return body, error  # the status alone says enough
    return body, None


def request_id_of(response: HttpResponse) -> str | None:
    """Return the service's request id, or that of the gateway before it."""
    return next((value for name in _REQUEST_IDS if (value := (response.header(name) or "").strip())), None)


def http_error(response: HttpResponse, body: bytes) -> ServiceError:
    """Return the service error of a response with an error status.

    The error's type is in a header, or else in the body. A proxy may have removed both; the status remains.
    """
    from ..dialects.error_documents import describe_error, request_id_in

    document = decode_any(body)
    code, message = describe_error(body, document)
    code = response.header("x-amzn-ErrorType") or code
    extra = document if isinstance(document, dict) else None
    error = service_error(code, message, response.status, extra=extra)
    error.retry_after = _retry_after(response)
    error.request_id = request_id_in(document)
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
