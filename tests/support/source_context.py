"""The world as a source sees it: HTTP over real sockets, an environment, a clock that can be wrong and can learn."""

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
"""Keys of the environment."""


class World:
    """What is handed to a source, and what the source did with it."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.environ: dict[str, str] = {}
        self.settings: dict[str, str] = {}
        self.region = "us-east-1"
        self.keys = BASE
        self.clock: datetime | None = None
        """The time here; None takes the real one."""
        self.skew: dict[str, timedelta] = {}
        """By host, what was learnt."""
        self.learns = True
        self.refusals: list[tuple[str, str | None, str]] = []
        """What was handed to `learn`."""
        self.elsewhere: dict[str, str] = {}
        """Origins that cannot be had on this machine, and where they are found here."""
        self.asked: list[tuple[str, str, bool]] = []
        """Method, URL as the source gave it, whether direct."""
        self.seconds: list[float] = []
        self.patience: float | None = None
        """The longest that anything may take, whatever the source says."""
        self.failure: TransportError | None = None
        """What HTTP fails with, where it is made to fail."""

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
        return self.keys

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
        self.asked.append((method, url, direct))
        self.seconds.append(seconds)
        if self.failure is not None:
            raise self.failure
        origin = "/".join(url.split("/", 3)[:3])
        url = url.replace(origin, self.elsewhere.get(origin, origin), 1)
        options: dict[str, Any] = {"data": body} if body else {}
        limit = aiohttp.ClientTimeout(total=min(seconds, self.patience or seconds))
        try:
            async with self._session.request(
                method, URL(url, encoded=True), headers=headers, allow_redirects=False, timeout=limit, **options
            ) as response:
                return HttpAnswer(response.status, response.headers, await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionFailed(f"no answer: {type(error).__name__}") from error


@asynccontextmanager
async def a_world() -> AsyncIterator[World]:
    """A world for one test."""
    async with aiohttp.ClientSession() as session:
        yield World(session)


def traces(error: BaseException) -> str:
    """All that a traceback, a log or a pickle of this error could show, causes included."""
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
