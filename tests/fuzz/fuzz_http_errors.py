# The invariant: any status, headers and body of an HTTP error become a ServiceError with that status, whose code and
# message are str, which can be printed and pickled, and says whether to retry. The same input has the same outcome.
# The same body with HTTP 200 is a ServiceError or none.
"""Run by hand: `python -m tests.fuzz.fuzz_http_errors --seconds 120 [--seed N]`."""

from __future__ import annotations

import json
import pickle
import sys
from random import Random
from typing import Any

from bedrock_stream.client import checks
from bedrock_stream.dialects.payloads import document_failure
from bedrock_stream.errors import ServiceError
from tests.fuzz.fuzzing import command, mutated, mutated_json

CODES = (
    "ThrottlingException",
    "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/",
    "com.amazonaws.bedrock#AccessDeniedException",
    "InvalidSignatureException,ValidationException",
    "throttlingException",
    "SomethingNew",
    "#",
    ":",
    "",
)
MESSAGES = (
    "Too many requests",
    "Input is too long for requested model.",
    "Signature expired: 20250130T203827Z is now earlier than 20250130T204131Z (20250130T204631Z - 5 min.)",
    "",
)
# Bodies of gateways.
FOREIGN = (
    {"error": {"message": "m", "type": "rate_limit_error", "code": "429"}},
    {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
    {"detail": [{"loc": ["body", 0], "msg": "m", "type": "t"}]},
    {"errors": [{"title": "t", "detail": "d"}], "success": False},
    {"fault": {"faultstring": "f", "detail": {"errorcode": "a.b"}}},
    {"errorMessage": "m", "errorType": "t"},
    {"Output": {"__type": "a#UnknownOperationException"}, "Version": "1.0"},
    {"status": "failed", "error": None},
)
STATUSES = (400, 401, 403, 404, 408, 418, 424, 429, 451, 499, 500, 502, 503, 504, 529, 599)
PAGES = (b"", b"<html><body><h1>502 Bad Gateway</h1></body></html>", b"null", b"[]", b'"text"', b"7", b"\xff\xfe{}")


class Refusal:
    """The parts of an HTTP response that the parser reads."""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status = status
        self._headers = headers

    def header(self, name: str) -> str | None:
        return self._headers.get(name.lower())


def read(refusal: Any, body: bytes) -> ServiceError:
    error = checks.http_error(refusal, body)
    assert isinstance(error, ServiceError)
    return error


def check(refusal: Refusal, body: bytes) -> ServiceError:
    """Check the invariant; an exception that escapes or an AssertionError is a failure."""
    error = read(refusal, body)
    assert error.status == refusal.status
    assert not error.mid_stream
    assert type(error.code) is type(error.message) is str
    assert type(error.retryable) is bool
    assert not str(error).rstrip().endswith(f"HTTP {refusal.status}):")
    with_200 = document_failure(body)
    assert with_200 is None or with_200.status >= 400
    again = read(refusal, body)
    unpickled = pickle.loads(pickle.dumps(error))  # noqa: S301  # made above
    shown = {(type(one), str(one), repr(one), one.code, one.message) for one in (error, again, unpickled)}
    assert len(shown) == 1
    return error


def an_input(random: Random) -> tuple[Refusal, bytes]:
    headers: dict[str, str] = {}
    if random.random() < 0.5:
        code = random.choice(CODES)
        odd = random.random() < 0.2
        headers["x-amzn-errortype"] = mutated(random, code.encode()).decode("utf-8", "surrogateescape") if odd else code
    facts: dict[str, Any] = {random.choice(["message", "Message"]): random.choice(MESSAGES)}
    if random.random() < 0.5:
        facts[random.choice(["code", "__type"])] = random.choice(CODES)
    if random.random() < 0.3:
        facts |= {"originalStatusCode": 424, "originalMessage": "m", "resourceName": "r"}
    if random.random() < 0.4:
        facts = random.choice(FOREIGN)
    body = json.dumps(facts).encode()
    chance = random.random()
    if chance < 0.1:
        body = random.choice(PAGES)
    elif chance < 0.8:
        body = mutated_json(random, body)
    return Refusal(random.choice(STATUSES), headers), body


def try_one(random: Random) -> str:
    refusal, body = an_input(random)
    try:
        return type(check(refusal, body)).__name__
    except BaseException as failure:
        failure.add_note(f"HTTP {refusal.status}, {refusal.header('x-amzn-ErrorType')!r}, {body!r}")
        raise


if __name__ == "__main__":
    sys.exit(command("HTTP errors:", try_one))
