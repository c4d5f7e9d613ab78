"""One question to STS and its answer: a form, signed or not, and XML.

    form -> POST https://sts.{region}.{suffix}/ -> XML -> Credentials, or the error that STS names

What goes in can be secret, and what comes back may repeat it: every message is scrubbed of what was sent.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

from ...errors import ClientClosed, CredentialsUnavailable, ServiceError, TransportError, service_error
from ...types.settings import Masked
from ..credentials import Credentials
from ..sigv4 import sign
from ..sources import LARGEST_ANSWER, HttpAnswer, SourceContext, make_keys, scrub
from .xml_answer import InvalidXml, read_xml

__all__ = ("Exchange",)

_SECONDS = 20.0
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Accept": "text/xml"}
_CODE = re.compile(r"[A-Za-z0-9.]{1,64}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class Exchange(Masked, frozen=True, kw_only=True):
    """One question to STS and its answer."""

    source: str
    operation: str
    url: str
    region: str
    body: bytes
    secrets: tuple[str, ...]

    @property
    def host(self) -> str:
        """Host and port, by which clocks are told apart."""
        return urlsplit(self.url).netloc

    @property
    def prefix(self) -> str:
        """Says whose words a message is."""
        return f"sts {self.operation}: "

    def __repr__(self) -> str:
        return f"Exchange({self.source})"  # the body holds secrets

    async def send(self, context: SourceContext, keys: Credentials | None) -> HttpAnswer:
        """Ask, signed where there are keys. Raises `CredentialsUnavailable`."""
        headers = dict(_HEADERS)
        if keys is not None:
            headers |= sign(
                "POST",
                self.url,
                headers.items(),
                self.body,
                credentials=keys,
                region=self.region,
                service="sts",
                now=context.now(self.host),
            )
        try:
            return await context.http("POST", self.url, headers=headers, body=self.body, seconds=_SECONDS)
        except ClientClosed:
            raise
        except TransportError as error:
            unreachable = CredentialsUnavailable(self.source, f"{self.host} could not be asked: {error}")
        unreachable.retryable = True
        raise unreachable

    def read(self, answer: HttpAnswer) -> Credentials:
        """The keys of an answer. Raises `CredentialsUnavailable`, `ServiceError`."""
        reason = ""
        try:
            texts = read_xml(answer.body, LARGEST_ANSWER)
        except InvalidXml as error:
            reason = str(error)
        if reason:
            raise self._unusable(answer, reason)
        if answer.status != 200:
            raise self._refusal(answer, texts)
        place = f"{self.operation}Response/{self.operation}Result/Credentials/"
        key, secret, token, ends = (
            texts.get(place + name, "") for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
        )
        if not token:
            raise self._unusable(answer, "it holds no keys")
        return make_keys(self.source, key, secret, token, self._moment(answer, ends))

    def _moment(self, answer: HttpAnswer, text: str) -> datetime:
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(text)
        raise self._unusable(answer, "it does not say when the keys end")

    def _refusal(self, answer: HttpAnswer, texts: Mapping[str, str]) -> ServiceError | CredentialsUnavailable:
        code = texts.get("ErrorResponse/Error/Code", "")
        if answer.status < 400 or not _CODE.fullmatch(code):
            return self._unusable(answer, "it names no error")
        message = texts.get("ErrorResponse/Error/Message", "")
        cls = type(service_error(code, message, answer.status))  # by the service's own words, so before ours
        error = cls(scrub(code, self.secrets), self.prefix + scrub(message, self.secrets), answer.status)
        request_id = texts.get("ErrorResponse/RequestId") or answer.headers.get("x-amzn-RequestId") or ""
        if _REQUEST_ID.fullmatch(request_id):
            error.request_id = scrub(request_id, self.secrets)
        return error

    def _unusable(self, answer: HttpAnswer, reason: str) -> CredentialsUnavailable:
        return CredentialsUnavailable(self.source, f"{self.host} answered HTTP {answer.status}, unusable: {reason}")
