"""One request to STS and its response: a form, signed or not, and XML.

    form -> POST https://sts.{region}.{suffix}/ -> XML -> Credentials, or the error that STS returns

The request may contain secrets, and a response may repeat them: they are redacted from every message.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from ...errors import (
    ClientClosed,
    CredentialsUnavailable,
    ServiceError,
    SignatureExpired,
    TransportError,
    service_error,
)
from ...request.endpoints import host_header
from ...types.settings import Masked
from ..credentials import Credentials
from ..outages import ATTEMPTS, failure_words, is_outage, outage, retry_pause
from ..responses import ERROR_CODE, MAX_RESPONSE_BYTES, REQUEST_ID, make_credentials, redact
from ..sigv4 import sign
from ..sources import HttpAnswer, SourceContext
from .xml_answer import InvalidXml, parse_xml

__all__ = ("Exchange",)

_SECONDS = 20.0
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Accept": "text/xml"}


class Exchange(Masked, frozen=True, kw_only=True):
    """One STS request, and the parser for its response."""

    source: str
    """The source's name in errors."""
    operation: str
    """`AssumeRole` or `AssumeRoleWithWebIdentity`."""
    url: str
    region: str
    body: bytes
    """The form."""
    secrets: tuple[str, ...]
    """The secrets in the request, to be redacted from messages."""

    @property
    def host(self) -> str:
        """Host and port, by which clock skew is stored."""
        return urlsplit(self.url).netloc

    @property
    def prefix(self) -> str:
        """The prefix that marks a message as one of STS, not of Bedrock."""
        return f"sts {self.operation}: "

    def __repr__(self) -> str:
        return f"Exchange({self.source})"  # the body contains secrets

    async def fetch(self, context: SourceContext, credentials: Credentials | None) -> Credentials:
        """Return the credentials that STS returns for the request, which is signed if there are `credentials`.

        A response that tells of a passing failure is followed by another request. So is a refused date if the clock of
        STS could be learned from it.
        Raises `CredentialsUnavailable`, `ServiceError`.
        """
        retries, has_learned = 0, credentials is None
        while True:
            response = await self._send(context, credentials)
            try:
                return self.parse(response)
            except (CredentialsUnavailable, ServiceError) as failure:
                error = failure
            if isinstance(error, SignatureExpired) and not has_learned:
                has_learned = True
                message = error.message.removeprefix(self.prefix)
                if context.learn(self.host, response.headers.get("Date"), message):
                    continue
            retries += 1
            if not error.retryable or retries >= ATTEMPTS:
                raise error  # outside of `except`, so that nothing is chained
            await asyncio.sleep(retry_pause(retries - 1))

    async def _send(self, context: SourceContext, credentials: Credentials | None) -> HttpAnswer:
        """Send the request and return the response. Raises `CredentialsUnavailable`, `ClientClosed`."""
        headers = {**_HEADERS, **dict(host_header(self.url))}
        if credentials is not None:
            headers |= sign(
                "POST",
                self.url,
                headers.items(),
                self.body,
                credentials=credentials,
                region=self.region,
                service="sts",
                now=context.now(self.host),
            )
        try:
            return await context.http("POST", self.url, headers=headers, body=self.body, seconds=_SECONDS)
        except ClientClosed:
            raise
        except TransportError as error:
            unreachable = outage(self.source, f"{self.host} could not be reached: {error}")
        raise unreachable  # outside of `except`, so that nothing is chained

    def parse(self, response: HttpAnswer) -> Credentials:
        """Return the credentials in a response. Raises `CredentialsUnavailable`, `ServiceError`."""
        reason = ""
        try:
            texts = parse_xml(response.body, MAX_RESPONSE_BYTES)
        except InvalidXml as error:
            reason = str(error)
        if reason:
            raise self._unusable(response, reason)
        if response.status != 200:
            raise self._refusal(response, texts)
        path = f"{self.operation}Response/{self.operation}Result/Credentials/"
        key, secret, token, expiration = (
            texts.get(path + name, "") for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
        )
        # STS returns only temporary credentials, so both a session token and an expiry are required.
        if not token:
            raise self._unusable(response, "it has no credentials")
        return make_credentials(self.source, key, secret, token, self._parse_expiration(response, expiration))

    def _parse_expiration(self, response: HttpAnswer, text: str) -> datetime:
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(text)
        raise self._unusable(response, "it has no valid Expiration")

    def _refusal(self, response: HttpAnswer, texts: Mapping[str, str]) -> ServiceError | CredentialsUnavailable:
        code = texts.get("ErrorResponse/Error/Code", "")
        if response.status < 400 or not ERROR_CODE.fullmatch(code):
            return self._unusable(response, "it has no error code")
        message = texts.get("ErrorResponse/Error/Message", "")
        # The class depends on the original message, so it is chosen before the message is redacted and prefixed.
        cls = type(service_error(code, message, response.status))
        error = cls(redact(code, self.secrets), self.prefix + redact(message, self.secrets), response.status)
        error.retryable = error.retryable or is_outage(response.status, code)
        request_id = texts.get("ErrorResponse/RequestId") or response.headers.get("x-amzn-RequestId") or ""
        if REQUEST_ID.fullmatch(request_id):
            error.request_id = redact(request_id, self.secrets)
        return error

    def _unusable(self, response: HttpAnswer, reason: str) -> CredentialsUnavailable:
        reason = f"{self.host} returned HTTP {response.status} with an unusable body: {reason}"
        if response.status != 200:  # one with status 200 may hold credentials
            words = failure_words(response.body, self.secrets)[1]
            reason += f": {words}" if words else ""
        return outage(self.source, reason)
