"""A `SourceContext` for tests of sources: HTTP over real sockets, an environment, and a clock that can be wrong."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from yarl import URL

from bedrock_stream import Credentials
from bedrock_stream.auth.sources import HttpAnswer, SourceContext
from bedrock_stream.errors import ConnectionFailed, TransportError

BASE = Credentials("AKIDBASE", "base+secret/key", "base/session+token==")
"""The default credentials, as of the environment."""


class ContextHarness:
    """The values of a source's context, and records of how the source used it."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.environ: dict[str, str] = {}
        self.settings: dict[str, str] = {}
        self.region = "us-east-1"
        self.default_credentials = BASE
        self.clock: datetime | None = None
        """The local time; None uses the real one."""
        self.skew: dict[str, timedelta] = {}
        """The learned offsets, by host."""
        self.learns = True
        self.refusals: list[tuple[str, str | None, str]] = []
        """The arguments of each call to `learn`."""
        self.redirects: dict[str, str] = {}
        """Origins that cannot be reached on this machine, and the local ones to use instead."""
        self.requests: list[tuple[str, str, bool]] = []
        """Method, URL as the source passed it, and `direct`."""
        self.seconds: list[float] = []
        """The timeout of each request."""
        self.max_seconds: float | None = None
        """An upper limit for the timeouts."""
        self.failure: TransportError | None = None
        """The error to raise instead of sending a request."""

    @property
    def context(self) -> SourceContext:
        return SourceContext(
            http=self.http,
            environ=self.environ,
            settings=self.settings,
            region=self.region,
            now=lambda host: (self.clock or datetime.now(UTC)) + self.skew.get(host, timedelta()),
            learn=self.learn,
            default=self.default,
        )

    async def default(self) -> Credentials:
        return self.default_credentials

    def learn(self, host: str, date: str | None, message: str) -> bool:
        self.refusals.append((host, date, message))
        if self.learns and date is not None:
            self.skew[host] = parsedate_to_datetime(date) - (self.clock or datetime.now(UTC))
        return self.learns

    async def http(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        seconds: float,
        direct: bool = False,
    ) -> HttpAnswer:
        self.requests.append((method, url, direct))
        self.seconds.append(seconds)
        if self.failure is not None:
            raise self.failure
        origin = "/".join(url.split("/", 3)[:3])
        url = url.replace(origin, self.redirects.get(origin, origin), 1)
        options: dict[str, Any] = {"data": body} if body else {}
        timeout = aiohttp.ClientTimeout(total=min(seconds, self.max_seconds or seconds))
        try:
            async with self._session.request(
                method, URL(url, encoded=True), headers=headers, allow_redirects=False, timeout=timeout, **options
            ) as response:
                return HttpAnswer(response.status, response.headers, await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionFailed(f"no answer: {type(error).__name__}") from error


@asynccontextmanager
async def open_harness() -> AsyncIterator[ContextHarness]:
    """Open a harness for one test."""
    async with aiohttp.ClientSession() as session:
        yield ContextHarness(session)


def render_error(error: BaseException) -> str:
    """Return everything that a traceback, a log or a pickle of this error could show, causes included."""
    texts = []
    queue: list[BaseException | None] = [error]
    seen: set[int] = set()
    while queue:
        each = queue.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        texts += [repr(each), str(each), repr(vars(each)), *traceback.format_exception(each)]
        queue += [each.__cause__, each.__context__]
    return "\n".join([*texts, repr(pickle.dumps(error))])
