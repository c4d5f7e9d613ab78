"""Doubles of the services that give keys, over real sockets: STS, the instance's metadata, the container's endpoint.

Each looks at what really arrived as the service would, records it, and can be told to answer something else.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from bedrock_stream.auth.sigv4 import SigningKeys
from bedrock_stream.testing.service.refusal import Refusal
from bedrock_stream.testing.service.verification import Guard, IncomingRequest

KEY, SECRET, TOKEN = "ASIAGIVEN", "given+secret/key", "given/session+token=="
"""What every double gives."""
ENDS = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"

Answering = Callable[["Asked"], web.Response | Awaitable[web.Response]]


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: CIMultiDict[str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode(), strict_parsing=True).items()}


@dataclass
class Double:
    """A server that records and answers; `says` answers in place of the service."""

    requests: list[Asked] = field(default_factory=list)
    says: Answering | None = None
    url: str = ""

    def answer(self, asked: Asked) -> web.Response | Awaitable[web.Response]:
        raise NotImplementedError

    async def serve(self, request: web.BaseRequest) -> web.Response:
        asked = Asked(request.method, request.path_qs, CIMultiDict(request.headers), await request.read())
        self.requests.append(asked)
        found = (self.says or self.answer)(asked)
        return found if isinstance(found, web.Response) else await found

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Any]:
        runner = web.ServerRunner(
            web.Server(self.serve, access_log=None, handler_cancellation=True), shutdown_timeout=0.1
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()


def says(status: int, body: bytes | str) -> Answering:
    """The same answer whatever is asked."""
    data = body.encode() if isinstance(body, str) else body
    return lambda _: web.Response(status=status, body=data)


# ------------------------------------------------------------------------------------------------------------------ STS


@dataclass
class Sts(Double):
    """The Security Token Service: verifies SigV4 for `sts`, gives keys for a role, refuses in XML."""

    keys: SigningKeys | None = None
    region: str = "us-east-1"
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    tokens: tuple[str, ...] = ("web-identity-token",)

    def answer(self, asked: Asked) -> web.Response:
        now = self.clock()
        headers = {"Date": format_datetime(now, usegmt=True), "x-amzn-RequestId": "request-1"}
        operation = asked.form["Action"]
        try:
            assert (asked.method, asked.path, asked.form["Version"]) == ("POST", "/", "2011-06-15")
            if operation == "AssumeRole":
                self._verify(asked, now)
            elif asked.form["WebIdentityToken"] not in self.tokens or "Authorization" in asked.headers:
                raise Refusal(400, "InvalidIdentityToken", "The ID Token provided is not a valid JWT.")
        except Refusal as refusal:
            return web.Response(status=refusal.status, text=refusal_xml(*in_words_of_sts(refusal)), headers=headers)
        return web.Response(text=keys_xml(operation), headers=headers)

    def _verify(self, asked: Asked, now: datetime) -> None:
        arrived = IncomingRequest(asked.method, asked.path, CIMultiDictProxy(asked.headers), asked.body)
        Guard(self.keys, None, self.region, "sts").verify(arrived, now)


def in_words_of_sts(refusal: Refusal) -> tuple[str, str]:
    code = {
        "InvalidSignatureException": "SignatureDoesNotMatch",
        "UnrecognizedClientException": "InvalidClientTokenId",
    }.get(refusal.code or "", refusal.code or "")
    return code.removesuffix("Exception"), str(refusal.message)


def keys_xml(operation: str, *, key: str = KEY, secret: str = SECRET, token: str = TOKEN, ends: str = "") -> str:
    ends = ends or ENDS.strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"""<{operation}Response xmlns="{NAMESPACE}">
  <{operation}Result>
    <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn></AssumedRoleUser>
    <Credentials>
      <AccessKeyId>{escape(key)}</AccessKeyId>
      <SecretAccessKey>{escape(secret)}</SecretAccessKey>
      <SessionToken>{escape(token)}</SessionToken>
      <Expiration>{ends}</Expiration>
    </Credentials>
  </{operation}Result>
  <ResponseMetadata><RequestId>request-1</RequestId></ResponseMetadata>
</{operation}Response>"""


def refusal_xml(code: str, message: str) -> str:
    return (
        f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>{escape(code)}</Code>'
        f"<Message>{escape(message)}</Message></Error><RequestId>request-1</RequestId></ErrorResponse>"
    )


# --------------------------------------------------------------------------------------- the instance and the container


def document(**changes: Any) -> dict[str, Any]:
    """What both of them answer with."""
    given = {"AccessKeyId": KEY, "SecretAccessKey": SECRET, "Token": TOKEN, "Expiration": "2030-01-02T03:04:05Z"}
    return {name: value for name, value in (given | changes).items() if value is not ...}


@dataclass
class Imds(Double):
    """The metadata service of an instance, version 2: no token, no answer."""

    role: str = "the-role"
    session: str = "imds-session-token=="

    def answer(self, asked: Asked) -> web.Response:
        if asked.path == "/latest/api/token":
            if asked.method != "PUT" or not 1 <= int(asked.headers["x-aws-ec2-metadata-token-ttl-seconds"]) <= 21600:
                return web.Response(status=400)
            return web.Response(text=self.session)
        if asked.method != "GET" or asked.headers.get("x-aws-ec2-metadata-token") != self.session:
            return web.Response(status=401)
        place = "/latest/meta-data/iam/security-credentials/"
        if asked.path == place and self.role:
            return web.Response(text=self.role)
        if asked.path == place + self.role and self.role:
            return web.json_response(document(Code="Success", Type="AWS-HMAC", LastUpdated="2026-01-01T00:00:00Z"))
        return web.Response(status=404)


@dataclass
class Container(Double):
    """The endpoint beside a task or a pod; wants its token where it has one."""

    token: str = ""

    def answer(self, asked: Asked) -> web.Response:
        if asked.method != "GET" or asked.headers.get("Authorization", "") != self.token:
            return web.Response(status=401, text=json.dumps({"code": "AccessDenied", "message": f"not {self.token}"}))
        return web.json_response(document(RoleArn="arn:aws:iam::123456789012:role/task"))


# ------------------------------------------------------------------------------------------------------- the SSO portal


@dataclass
class Portal(Double):
    """The portal of IAM Identity Center: role credentials for a bearer token."""

    bearer: str = "sso-bearer-token"

    def answer(self, asked: Asked) -> web.Response:
        if asked.headers.get("x-amz-sso_bearer_token") != self.bearer:
            body = {"message": f"Session token {self.bearer} not found or invalid"}
            return web.json_response(body, status=401, headers={"x-amzn-ErrorType": "UnauthorizedException"})
        keys = {
            "accessKeyId": KEY,
            "secretAccessKey": SECRET,
            "sessionToken": TOKEN,
            "expiration": int(ENDS.timestamp() * 1000),
        }
        return web.json_response({"roleCredentials": keys})
