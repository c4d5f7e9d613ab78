"""CPU time of signing a request of 2 KB.

Our `sign` and botocore's signer in pure Python sign the same request, each time with another body. Both hash the body.
botocore needs a new request object for each signature, which is included. For a fixed time, both must return the same
signature.

Tried without success:
- A copied HMAC object instead of `hmac.digest`: x0.92, which does not justify a second cache of signing keys.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from .contenders import KEY_ID, REGION, SECRET
from .measure import OURS, Lab, Sample, Setting

__all__ = ("ask", "trial")

_UNIT = "us/request"

_URL = "https://bedrock-runtime.us-east-1.amazonaws.com/model/amazon.nova-lite-v1%3A0/converse-stream"
_HEADERS = {"Content-Type": "application/json", "Accept": "application/vnd.amazon.eventstream"}
_BODY = b"x" * 2048
_NOW = datetime(2025, 7, 1, 12, tzinfo=UTC)

_Sign = Callable[[bytes], str]


def ask(lab: Lab) -> None:
    """Run the contenders."""
    lab.race("sign", [OURS, "boto3"], Setting(case="2 KB", events=lab.pick(5000, 10)), goals={_UNIT: {"boto3": 4}})


def trial(setting: Setting) -> Sample:
    """Measure the signing of many requests. The signature at a fixed time is the value to agree on."""
    sign, sign_at = {OURS: _ours, "boto3": _botocore}[setting.contender]()
    signature = sign_at(_NOW)
    bodies = [b"%06d" % number + _BODY[6:] for number in range(setting.events)]
    sign(bodies[0])
    start = time.process_time()
    for body in bodies:
        sign(body)
    cost = time.process_time() - start
    return Sample({_UNIT: cost / len(bodies) * 1e6}, signature, 1)


def _ours() -> tuple[_Sign, Callable[[datetime], str]]:
    from bedrock_stream import Credentials
    from bedrock_stream.auth.sigv4 import sign

    credentials = Credentials(KEY_ID, SECRET)
    headers = tuple(_HEADERS.items())

    def signed(body: bytes, now: datetime | None = None) -> str:
        at = now or datetime.now(UTC)
        return sign("POST", _URL, headers, body, credentials=credentials, region=REGION, now=at)["Authorization"]

    return signed, lambda now: _signature(signed(_BODY, now))


def _botocore() -> tuple[_Sign, Callable[[datetime], str]]:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    signer = SigV4Auth(Credentials(KEY_ID, SECRET), "bedrock", REGION)

    def signed(body: bytes) -> str:
        request: Any = AWSRequest("POST", _URL, dict(_HEADERS), body)
        signer.add_auth(request)
        header: str = request.headers["Authorization"]
        return header

    def at(now: datetime) -> str:
        with mock.patch("botocore.auth.get_current_datetime", return_value=now):
            return _signature(signed(_BODY))

    return signed, at


def _signature(header: str) -> str:
    return header.partition("Signature=")[2]
