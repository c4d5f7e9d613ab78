"""Fakes of the services that return credentials, over real sockets: STS, instance metadata, container endpoint, SSO.

Each checks a request as the service would, records it, and can be set to return something else.
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

from bedrock_stream import Credentials
from bedrock_stream.auth.sigv4 import SigningKeys
from bedrock_stream.testing.service.refusal import Refusal
from bedrock_stream.testing.service.verification import Guard, IncomingRequest

KEY, SECRET, TOKEN = "ASIAGIVEN", "given+secret/key", "given/session+token=="
EXPIRES_AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
CREDENTIALS = Credentials(KEY, SECRET, TOKEN, EXPIRES_AT)
"""The credentials that every fake returns."""
NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"

Handler = Callable[["ReceivedRequest"], web.Response | Awaitable[web.Response]]


@dataclass
class ReceivedRequest:
    """One request as it was received."""

    method: str
    path: str
    headers: CIMultiDict[str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode(), strict_parsing=True).items()}


@dataclass
class FakeService:
    """A server that records requests and responds to them; `handler` responds instead of the service."""

    requests: list[ReceivedRequest] = field(default_factory=list)
    handler: Handler | None = None
    url: str = ""

    def respond(self, request: ReceivedRequest) -> web.Response | Awaitable[web.Response]:
        raise NotImplementedError

    async def serve(self, http_request: web.BaseRequest) -> web.Response:
        body = await http_request.read()
        request = ReceivedRequest(http_request.method, http_request.path_qs, CIMultiDict(http_request.headers), body)
        self.requests.append(request)
        response = (self.handler or self.respond)(request)
        return response if isinstance(response, web.Response) else await response

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


def always(status: int, body: bytes | str) -> Handler:
    """Return a handler with the same response for every request."""
    data = body.encode() if isinstance(body, str) else body
    return lambda _: web.Response(status=status, body=data)


# ----------------------------------------------------------------------------------------------------------------- STS


@dataclass
class Sts(FakeService):
    """The Security Token Service: verifies SigV4 for `sts`, returns credentials for a role, and errors as XML."""

    keys: SigningKeys | None = None
    region: str = "us-east-1"
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    tokens: tuple[str, ...] = ("web-identity-token",)

    def respond(self, request: ReceivedRequest) -> web.Response:
        now = self.clock()
        headers = {"Date": format_datetime(now, usegmt=True), "x-amzn-RequestId": "request-1"}
        operation = request.form["Action"]
        try:
            assert (request.method, request.path, request.form["Version"]) == ("POST", "/", "2011-06-15")
            if operation == "AssumeRole":
                self._verify(request, now)
            elif request.form["WebIdentityToken"] not in self.tokens or "Authorization" in request.headers:
                raise Refusal(400, "InvalidIdentityToken", "The ID Token provided is not a valid JWT.")
        except Refusal as refusal:
            return web.Response(status=refusal.status, text=error_xml(*to_sts_error(refusal)), headers=headers)
        return web.Response(text=credentials_xml(operation), headers=headers)

    def _verify(self, request: ReceivedRequest, now: datetime) -> None:
        arrived = IncomingRequest(request.method, request.path, CIMultiDictProxy(request.headers), request.body)
        Guard(self.keys, None, self.region, "sts").verify(arrived, now)


def to_sts_error(refusal: Refusal) -> tuple[str, str]:
    """Return STS's code and message for an error of Bedrock: some codes differ, and none ends in `Exception`."""
    code = {
        "InvalidSignatureException": "SignatureDoesNotMatch",
        "UnrecognizedClientException": "InvalidClientTokenId",
    }.get(refusal.code or "", refusal.code or "")
    return code.removesuffix("Exception"), str(refusal.message)


def credentials_xml(
    operation: str, *, key: str = KEY, secret: str = SECRET, token: str = TOKEN, expiration: str = ""
) -> str:
    expiration = expiration or EXPIRES_AT.strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"""<{operation}Response xmlns="{NAMESPACE}">
  <{operation}Result>
    <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn></AssumedRoleUser>
    <Credentials>
      <AccessKeyId>{escape(key)}</AccessKeyId>
      <SecretAccessKey>{escape(secret)}</SecretAccessKey>
      <SessionToken>{escape(token)}</SessionToken>
      <Expiration>{expiration}</Expiration>
    </Credentials>
  </{operation}Result>
  <ResponseMetadata><RequestId>request-1</RequestId></ResponseMetadata>
</{operation}Response>"""


def error_xml(code: str, message: str) -> str:
    return (
        f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>{escape(code)}</Code>'
        f"<Message>{escape(message)}</Message></Error><RequestId>request-1</RequestId></ErrorResponse>"
    )


# -------------------------------------------------------------------------------------- the instance and the container


def document(**changes: Any) -> dict[str, Any]:
    """Return the JSON document of both endpoints; a member set to `...` is left out."""
    members = {"AccessKeyId": KEY, "SecretAccessKey": SECRET, "Token": TOKEN, "Expiration": "2030-01-02T03:04:05Z"}
    return {name: value for name, value in (members | changes).items() if value is not ...}


@dataclass
class Imds(FakeService):
    """The metadata service of an instance, version 2: requests without a session token are refused."""

    role: str = "the-role"
    session: str = "imds-session-token=="

    def respond(self, request: ReceivedRequest) -> web.Response:
        if request.path == "/latest/api/token":
            ttl_header = "x-aws-ec2-metadata-token-ttl-seconds"
            if request.method != "PUT" or not 1 <= int(request.headers[ttl_header]) <= 21600:
                return web.Response(status=400)
            return web.Response(text=self.session)
        if request.method != "GET" or request.headers.get("x-aws-ec2-metadata-token") != self.session:
            return web.Response(status=401)
        path = "/latest/meta-data/iam/security-credentials/"
        if request.path == path and self.role:
            return web.Response(text=self.role)
        if request.path == path + self.role and self.role:
            return web.json_response(document(Code="Success", Type="AWS-HMAC", LastUpdated="2026-01-01T00:00:00Z"))
        return web.Response(status=404)


@dataclass
class Container(FakeService):
    """The credentials endpoint of a task or a pod; requires `token` in `Authorization` if it is set."""

    token: str = ""

    def respond(self, request: ReceivedRequest) -> web.Response:
        if request.method != "GET" or request.headers.get("Authorization", "") != self.token:
            return web.Response(status=401, text=json.dumps({"code": "AccessDenied", "message": f"not {self.token}"}))
        return web.json_response(document(RoleArn="arn:aws:iam::123456789012:role/task"))


# ------------------------------------------------------------------------------------------------------ the SSO portal


@dataclass
class SsoPortal(FakeService):
    """The portal of IAM Identity Center: returns role credentials for a bearer token."""

    bearer: str = "sso-bearer-token"

    def respond(self, request: ReceivedRequest) -> web.Response:
        if request.headers.get("x-amz-sso_bearer_token") != self.bearer:
            body = {"message": f"Session token {self.bearer} not found or invalid"}
            return web.json_response(body, status=401, headers={"x-amzn-ErrorType": "UnauthorizedException"})
        credentials = {
            "accessKeyId": KEY,
            "secretAccessKey": SECRET,
            "sessionToken": TOKEN,
            "expiration": int(EXPIRES_AT.timestamp() * 1000),
        }
        return web.json_response({"roleCredentials": credentials})
