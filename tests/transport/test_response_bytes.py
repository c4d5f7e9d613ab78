"""HTTP answers as bytes on a socket: every legal form in any segments is read, and no mutation does harm.

A mutated answer is read right, or raises one of this library's errors after a prefix of its text. The next request of
the same client gets its own answer and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bedrock_stream import Client, Response, errors
from tests.conftest import KEYS
from tests.support.clients import ONCE
from tests.support.exhaustive import exhaustive
from tests.support.http_answers import (
    FRAMINGS,
    ROUTES,
    Form,
    Mutation,
    Route,
    answer,
    forms,
    joined,
    mutated,
    mutations,
)
from tests.support.socket_server import Connection, SocketServer

SPLITTINGS = exhaustive(whole=3_000, part=240)
MUTATIONS = exhaustive(whole=10_000, part=720)
LOOPS = ("asyncio", "uvloop")
KINDS = [(loop, route, framing) for loop in LOOPS for route in ROUTES for framing in FRAMINGS]
HANGS = 20.0
"""Seconds after which a case that takes milliseconds has failed."""
SINGLE = 100
"""How many bytes of an answer are sent one by one."""
QUIET = 40
"""Visits of the event loop in which a client has read whatever a server in the same loop has sent."""

_T = TypeVar("_T")

every_kind = pytest.mark.parametrize(("loop", "name", "framing"), KINDS, ids=["-".join(kind) for kind in KINDS])


class Laboratory:
    """A server and a client on an event loop of their own, and one case at a time between them."""

    def __init__(self, route: Route, framing: str) -> None:
        self.route = route
        self.framing = framing
        self.cases = 0
        self.connections: list[Any] = []
        """The client's address of each request of the current case."""
        self._segments: list[bytes] = []
        self._close = False
        self._done = False
        self._writing = 0

    async def __aenter__(self) -> Laboratory:
        self._stack = contextlib.AsyncExitStack()
        self._server = await self._stack.enter_async_context(SocketServer(self._answer))
        client = Client(region="us-east-1", endpoint_url=self._server.url, credentials=KEYS, retry=ONCE)
        self._client = await self._stack.enter_async_context(client)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def texts(self, number: int) -> list[str]:
        """Return texts that no other answer has, in frames that all differ in length."""
        return [f"{number}:", " Hello,", " naïve world", f" of {number}! "]

    def answer(self, number: int, form: Form | None = None) -> list[Any]:
        return answer(self.route, self.texts(number), f"request-{number}", self.framing, form)

    async def ask(self, segments: Sequence[bytes], *, close: bool, got: list[str] | None = None) -> Response:
        """Ask once and return the answer. `got` receives the texts of a stream, also if it then fails."""
        self._segments, self._close, self._done = list(segments), close, False
        self._server.connections.clear()
        try:
            async with asyncio.timeout(HANGS):
                if not self.route.streaming:
                    return await self._client.generate(self.route.model, "Hi")
                async with self._client.stream(self.route.model, "Hi") as stream:
                    async for piece in stream.text_stream:
                        if got is not None:
                            got.append(piece)
                    return await stream.response()
        finally:
            self._done = True
            self.connections = [connection.peer for connection in self._server.connections]

    async def _answer(self, connection: Connection) -> None:
        segments = self._segments
        self._writing += 1
        try:
            for segment in segments[:-1]:
                connection.write(segment)
                await asyncio.sleep(0)
                await asyncio.sleep(0)  # the client has read it
            connection.write(segments[-1])
        finally:
            self._writing -= 1
        if self._close:
            connection.close()
            return
        for _ in range(QUIET):
            await asyncio.sleep(0)
            if self._done:
                return
        connection.close()  # the client waits for more

    async def _settle(self) -> None:
        """Wait until all bytes of the case have reached the client. What comes later, no client could tell apart."""
        while self._writing:
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def check_splitting(self, form: Form, cuts: Sequence[int], single: int) -> None:
        """Check that an answer is read if it is cut at `cuts`, and into single bytes from `single` on for a while."""
        self.cases += 1
        data = joined(self.answer(self.cases, form))
        ends = {0, len(data), *(cut % len(data) for cut in cuts)}
        ends |= set(range(single, min(single + SINGLE, len(data))))
        response = await self.ask(_split(data, ends), close=form.last)
        assert response.text == "".join(self.texts(self.cases))
        assert (response.stop_reason, response.request_id) == ("end_turn", f"request-{self.cases}")
        assert response.usage is not None
        assert response.usage.output_tokens == 2
        await self._settle()

    async def check_mutation(self, changes: Sequence[Mutation], cuts: Sequence[int], close: bool) -> None:
        """Check that a mutated answer is read right or raises, and that the next request gets its own answer."""
        self.cases += 1
        right, got = "".join(self.texts(self.cases)), list[str]()
        form = Form(sizes=(97, 61, 150), last=self.framing == "close")
        data = mutated(self.answer(self.cases, form), changes, whole=self.route.streaming)
        segments = _split(data, {0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        try:
            response = await self.ask(segments, close=close or self.framing == "close", got=got)
        except errors.BedrockStreamError as error:
            read = ["".join(got), error.partial.text if error.partial is not None else ""]
            wrong = [each for each in read if not right.startswith(each)]
        else:
            wrong = [response.text] if response.text != right else []
        assert not wrong
        await self._settle()
        response = await self.ask([joined(self.answer(-self.cases))], close=self.framing == "close")
        assert response.text == "".join(self.texts(-self.cases))
        assert response.request_id == f"request-{-self.cases}"
        await self._settle()


def _split(data: bytes, ends: set[int]) -> list[bytes]:
    return [data[start:end] for start, end in pairwise(sorted(ends))] or [data]


Run = Callable[[Coroutine[Any, Any, _T]], _T]


@contextlib.contextmanager
def laboratory(loop: str, name: str, framing: str) -> Iterator[tuple[Laboratory, Run[None]]]:
    """Run a laboratory on this kind of event loop; also yield what runs a coroutine there."""
    factory = asyncio.new_event_loop if loop == "asyncio" else pytest.importorskip("uvloop").new_event_loop
    with asyncio.Runner(debug=False, loop_factory=factory) as runner:
        lab = Laboratory(ROUTES[name], framing)
        runner.run(lab.__aenter__())
        try:
            yield lab, runner.run
        finally:
            runner.run(lab.__aexit__())


def cuts(most: int) -> st.SearchStrategy[list[int]]:
    """Return a strategy of offsets, which are taken modulo the length of an answer."""
    return st.lists(st.integers(0, 2**16), max_size=most)


def quickly(total: int) -> settings:
    """Return the settings for one of the kinds, which together try `total` examples."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=-(-total // len(KINDS)), deadline=None, suppress_health_check=checks)


@every_kind
def test_an_answer_in_any_legal_form_and_in_any_segments_is_read(loop: str, name: str, framing: str) -> None:
    with laboratory(loop, name, framing) as (lab, run):

        @quickly(SPLITTINGS)
        @given(forms(framing), cuts(8), st.integers(0, 2500))
        def check(form: Form, cuts: list[int], single: int) -> None:
            run(lab.check_splitting(form, cuts, single))

        check()
        assert lab.cases * len(KINDS) >= SPLITTINGS


@every_kind
def test_a_mutated_answer_is_read_right_or_raises_and_the_next_is_its_own(loop: str, name: str, framing: str) -> None:
    with laboratory(loop, name, framing) as (lab, run):

        @quickly(MUTATIONS)
        @given(mutations(), cuts(2), st.booleans())
        def check(changes: list[Mutation], cuts: list[int], close: bool) -> None:
            run(lab.check_mutation(changes, cuts, close))

        check()
        assert lab.cases * len(KINDS) >= MUTATIONS
