"""Connections: dead ones are replaced for nothing, foreign bytes end them, and what is damaged or left ends at once."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from typing import Any

import pytest
import trustme

from bedrock_stream import Client, Response, RetryPolicy, Timeouts, errors
from bedrock_stream.eventstream import encode_frame
from bedrock_stream.transport.connections import abort
from tests.support.clients import ONCE, client_of, collect, connected
from tests.support.forked import forked_child
from tests.support.http_answers import ROUTES, Form, Route, answer, joined, stream_body
from tests.support.reading import partial_of, raw_chunk
from tests.support.socket_server import STREAM_HEAD, Connection, SocketServer
from tests.support.soon import soon

SOON = 0.5
"""Seconds within which the other side must see that a connection is closed."""
AT_ONCE = 5.0
"""Seconds for what must not wait for a time limit of the client, which has minutes."""
MODEL = ROUTES["converse stream"].model
ENDINGS = {"FIN": Connection.close, "RST": Connection.reset}
TEXTS = ["Hello", " world"]
FOREIGN = ["FOREIGN", " TEXT"]

every_route = pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
every_stream = pytest.mark.parametrize(
    "route",
    [route for route in ROUTES.values() if route.streaming],
    ids=[name for name, route in ROUTES.items() if route.streaming],
)
every_ending = pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)


def whole(route: Route, *, texts: list[str] = TEXTS, request_id: str = "own", form: Form | None = None) -> bytes:
    """Return a complete answer."""
    return joined(answer(route, texts, request_id, "chunked", form))


def route_of(connection: Connection) -> Route:
    """Return the route of a request."""
    path = connection.request_line.split()[1]
    return next(
        route
        for route in ROUTES.values()
        if route.streaming == path.endswith("stream") and route.native == ("/invoke" in path)
    )


async def answer_well(connection: Connection) -> None:
    connection.write(whole(route_of(connection)))


async def ask(client: Client, route: Route, **options: Any) -> Response:
    """Ask once; check that it took one attempt."""
    if not route.streaming:
        before = client.stats()
        response = await client.generate(route.model, "Hi", **options)
        assert client.stats().retries == before.retries
        return response
    async with client.stream(route.model, "Hi", **options) as stream:
        response = await stream.response()
        assert len(stream.attempts) == 1
        return response


# ------------------------------------------------------------------------------------------------ dead idle connections


class DyingServer:
    """Opens `count` connections at once, and later ends each of them when the next request arrives on it."""

    def __init__(self, count: int, end: Callable[[Connection], None]) -> None:
        self.count = count
        self.dead: set[Any] = set()
        self.deaths = 0
        self.fresh: list[Any] = []
        """The peers of all later connections, one entry for each request."""
        self._end = end
        self._filled = asyncio.Event()
        self._waiting: set[Any] = set()

    def die(self) -> None:
        self.dead = self._waiting

    async def answer(self, connection: Connection) -> None:
        if connection.peer in self.dead:
            self.deaths += 1
            self._end(connection)
            return
        if self.dead:
            self.fresh.append(connection.peer)
        else:
            self._waiting.add(connection.peer)
            if len(self._waiting) == self.count:
                self._filled.set()
            await self._filled.wait()
        await answer_well(connection)


@every_ending
@every_route
@pytest.mark.parametrize(("idle", "calls"), [(1, 1), (8, 1), (40, 10)])
@pytest.mark.parametrize("retry", [RetryPolicy(), ONCE], ids=["retries", "one attempt"])
async def test_dead_idle_connections_cost_no_attempt_and_no_budget(
    retry: RetryPolicy, idle: int, calls: int, route: Route, end: Callable[[Connection], None]
) -> None:
    dying = DyingServer(idle, end)
    async with connected(dying.answer, retry=retry) as (_, client):
        async with asyncio.timeout(20):
            await asyncio.gather(*(ask(client, route) for _ in range(idle)))
            dying.die()
            before = client.stats()
            responses = await asyncio.gather(*(ask(client, route) for _ in range(calls)))
    after = client.stats()
    assert [response.text for response in responses] == ["Hello world"] * calls
    assert (after.retries_left, after.retries) == (before.retries_left, before.retries)
    assert after.attempts == before.attempts + calls
    assert len(dying.fresh) == calls
    assert 1 <= dying.deaths <= calls  # a call meets one dead connection at most


@every_ending
async def test_connections_that_end_while_they_are_idle_are_not_used(end: Callable[[Connection], None]) -> None:
    route = ROUTES["converse stream"]
    async with connected(answer_well, retry=ONCE) as (server, client):
        await asyncio.gather(*(ask(client, route) for _ in range(4)))
        for connection in server.connections:
            end(connection)
        # At once: the client's event loop has not yet seen any of them end.
        assert (await ask(client, route)).text == "Hello world"
        assert client.stats().attempts == 5


async def test_a_dead_idle_connection_leaves_open_streams_alone() -> None:
    finish, dead = asyncio.Event(), list[Any]()

    async def serve(connection: Connection) -> None:
        if connection.peer in dead:
            connection.reset()
            return
        data = whole(route_of(connection))
        if b"linger" in connection.body:
            connection.write(data[:-5])
            await finish.wait()
            connection.write(data[-5:])
        else:
            connection.write(data)

    route = ROUTES["converse stream"]
    async with connected(serve, retry=ONCE) as (server, client):
        first = asyncio.create_task(ask(client, route))
        async with client.stream(route.model, "linger") as open_stream:
            await anext(open_stream)
            await first
            dead += [connection.peer for connection in server.connections if b"linger" not in connection.body]
            assert (await ask(client, route)).text == "Hello world"
            finish.set()
            assert (await open_stream.response()).text == "Hello world"


async def test_a_connection_that_closed_with_unsent_bytes_can_be_aborted() -> None:
    """Once these are sent, asyncio's own `abort` raises an `AttributeError`."""
    lost = asyncio.Event()

    class Sender(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            lost.set()

    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        transport, _ = await loop.create_connection(Sender, *listener.getsockname())
        peer, _ = await loop.sock_accept(listener)
        with peer:
            transport.write(bytes(16 << 20))
            transport.close()
            while await loop.sock_recv(peer, 1 << 20):
                pass
            await lost.wait()
    abort(transport)
    assert transport.is_closing()


async def test_a_new_connection_that_is_dropped_is_a_failed_attempt() -> None:
    async def drop(connection: Connection) -> None:
        connection.close()

    async with connected(drop, retry=RetryPolicy(max_attempts=3, base=0)) as (server, client):
        with pytest.raises(errors.ConnectionFailed):
            await client.generate(ROUTES["converse generate"].model, "Hi")
        assert client.stats().attempts == len(server.connections) == 3


# ----------------------------------------------------------------------------------------------------- idle connections


@every_route
async def test_a_clean_connection_is_used_again(route: Route) -> None:
    async with connected(answer_well, retry=ONCE) as (server, client):
        for _ in range(5):
            await ask(client, route)
        for other in ROUTES.values():
            await ask(client, other)
        assert len({connection.peer for connection in server.connections}) == 1


@every_route
async def test_a_connection_that_the_server_will_close_is_not_used_again(route: Route) -> None:
    async def serve(connection: Connection) -> None:
        connection.write(whole(route_of(connection), form=Form(last=True)))

    async with connected(serve, retry=ONCE) as (server, client):
        for _ in range(3):
            await ask(client, route)
            await soon(server.deserted(), SOON)
        assert len({connection.peer for connection in server.connections}) == 3


REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
GOODBYE = b"HTTP/1.1 408 Request Time-out\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def _foreign_bytes(route: Route) -> dict[str, bytes]:
    foreign = whole(route, texts=FOREIGN, request_id="foreign")
    return {"an answer": foreign, "half an answer": foreign[:80], "a refusal": REFUSAL, "408": GOODBYE, "a byte": b"H"}


@pytest.mark.parametrize("what", _foreign_bytes(ROUTES["converse stream"]))
@every_route
async def test_bytes_on_an_idle_connection_close_it(route: Route, what: str) -> None:
    async with connected(answer_well, retry=ONCE) as (server, client):
        await ask(client, route)
        server.connections[0].write(_foreign_bytes(route)[what])
        await soon(server.deserted(), SOON)
        response = await ask(client, route)
        assert (response.text, response.request_id) == ("Hello world", "own")
        assert server.connections[0].peer != server.connections[1].peer


@pytest.mark.parametrize("split", [False, True], ids=["same segment", "next segment"])
@pytest.mark.parametrize("what", _foreign_bytes(ROUTES["converse stream"]))
@every_route
async def test_bytes_right_behind_an_answer_are_nobody_s(route: Route, what: str, split: bool) -> None:
    async def serve(connection: Connection) -> None:
        first = len(server.connections) == 1
        data = whole(route_of(connection), request_id="own" if first else "other")
        if first and split:
            connection.write(data)
            data = b""
        connection.write(data + (_foreign_bytes(route)[what] if first else b""))

    async with connected(serve, retry=ONCE) as (server, client):
        assert (await ask(client, route)).request_id == "own"
        response = await ask(client, route)  # at once
        assert (response.text, response.request_id) == ("Hello world", "other")
        assert server.connections[0].peer != server.connections[1].peer


# ------------------------------------------------------------------------------------------------------- socket options


@pytest.fixture
def clients_sockets(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """The sockets that connect while the test runs."""
    found = list[socket.socket]()
    connect = socket.socket.connect

    def note(self: socket.socket, address: Any) -> None:
        found.append(self)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", note)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="the option is Linux's own")
@every_route
async def test_a_peer_that_acknowledges_nothing_is_noticed(route: Route, clients_sockets: list[socket.socket]) -> None:
    async with connected(answer_well, retry=ONCE) as (_, client):
        await ask(client, route)
        (sock,) = clients_sockets
        assert 10_000 <= sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 60_000
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) < 350


# ----------------------------------------------------------------------------------------------------- leaving a stream


Ready = Callable[[], None]


async def leave_by_break(client: Client, ready: Ready) -> None:
    async with client.stream(MODEL, "Hi") as stream:
        async for _ in stream:
            ready()
            break


async def leave_by_del(client: Client, ready: Ready) -> None:
    stream = client.stream(MODEL, "Hi")
    await anext(stream)
    ready()
    with pytest.warns(ResourceWarning, match="dropped before its end"):
        del stream
        gc.collect()


async def leave_by_aclose(client: Client, ready: Ready) -> None:
    stream = client.stream(MODEL, "Hi")
    await anext(stream)
    ready()
    await stream.aclose()


async def leave_by_cancelling(client: Client, ready: Ready) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in client.stream(MODEL, "Hi"):
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    ready()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def leave_by_total_timeout(client: Client, ready: Ready) -> None:
    stream = client.stream(MODEL, "Hi", timeouts=Timeouts(total=0.5))
    await anext(stream)
    ready()
    with pytest.raises(errors.TotalTimeout):
        await stream.response()


async def leave_by_closing_the_client(client: Client, ready: Ready) -> None:
    stream = client.stream(MODEL, "Hi")
    await anext(stream)
    ready()
    await client.aclose()
    with pytest.raises(errors.ClientClosed):
        await stream.response()


async def cancel_generate(client: Client, ready: Ready) -> None:
    task = asyncio.create_task(client.generate(MODEL, "Hi"))
    await client_waits()
    ready()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def client_waits() -> None:
    """Let the event loop run until client and server, which it both serves, have nothing more to do."""
    for _ in range(100):
        await asyncio.sleep(0)


LEAVING = {
    "break": leave_by_break,
    "del": leave_by_del,
    "aclose": leave_by_aclose,
    "cancel": leave_by_cancelling,
    "total timeout": leave_by_total_timeout,
    "closed client": leave_by_closing_the_client,
    "cancelled generate": cancel_generate,
}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
async def test_what_is_left_ends_for_the_server_though_a_forked_child_has_inherited_it(
    leave: Callable[[Client, Ready], Awaitable[None]], secure: bool, authority: trustme.CA
) -> None:
    context, trust = None, None
    if secure:
        context, trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
        authority.issue_cert("127.0.0.1").configure_cert(context)
        authority.configure_trust(trust)

    async def begin(connection: Connection) -> None:
        connection.write(started(route_of(connection)))
        await connection.closed.wait()

    async with (
        SocketServer(begin, context=context) as server,
        client_of(server.url, ssl=trust, retry=ONCE) as client,
    ):
        with ExitStack() as children:
            await leave(client, lambda: children.enter_context(forked_child()))
            await soon(server.deserted(), SOON)


# ---------------------------------------------------------------------------------------------------------------- heads


def _with_head(route: Route, size: int) -> bytes:
    """Return an answer whose head, with the line ends, has this many bytes."""
    short = whole(route, form=Form(extra=(b"X-Policy: ",)))
    missing = size - short.index(b"\r\n\r\n") - 4
    return whole(route, form=Form(extra=(b"X-Policy: " + b"p" * missing,)))


def _with_headers(route: Route, count: int) -> bytes:
    """Return an answer with this many headers."""
    extra = tuple(b"X-Policy-%d: p" % number for number in range(count - 3))  # three more are always there
    data = whole(route, form=Form(extra=extra))
    assert data.partition(b"\r\n\r\n")[0].count(b"\r\n") == count
    return data


def says(error: errors.BedrockStreamError, *names: str) -> bool:
    """Return whether a sentence names one of these, and does not read as if a server had sent a status."""
    said = str(error)
    assert isinstance(error, errors.TransportError)
    assert not re.search(r"\b(answer|status|HTTP|error)\W{1,3}400\b|\b400,|message=", said), said
    return any(name in said for name in names)


async def refusal_of(data: bytes, route: Route) -> errors.BedrockStreamError:
    """Return the error that an answer raises. The server closes nothing."""

    async def serve(connection: Connection) -> None:
        connection.write(data)
        await connection.closed.wait()

    async with connected(serve, retry=ONCE) as (server, client):
        with pytest.raises(errors.BedrockStreamError) as caught:
            async with asyncio.timeout(5):
                await ask(client, route)
        await soon(server.deserted(), SOON)
    return caught.value


@pytest.mark.parametrize("size", [16_000, 60_000, 64 * 1024])
@every_route
async def test_a_head_of_up_to_64_kib_is_accepted(route: Route, size: int) -> None:
    async def serve(connection: Connection) -> None:
        connection.write(_with_head(route, size))

    async with connected(serve, retry=ONCE) as (_, client):
        for _ in range(2):
            assert (await ask(client, route)).text == "Hello world"


@every_route
async def test_256_headers_are_accepted(route: Route) -> None:
    async def serve(connection: Connection) -> None:
        connection.write(_with_headers(route, 256))

    async with connected(serve, retry=ONCE) as (_, client):
        assert (await ask(client, route)).text == "Hello world"


@every_route
async def test_a_larger_head_is_refused_in_plain_words(route: Route) -> None:
    assert says(await refusal_of(_with_head(route, 70_000), route), "65536", "65,536", "64 KiB")
    assert says(await refusal_of(_with_headers(route, 257), route), "256")
    endless = b"HTTP/1.1 200 OK\r\n" + b"X-Policy: p\r\n" * 50_000
    assert says(await refusal_of(endless, route), "256", "64 KiB", "65536", "65,536")
    endless = b"HTTP/1.1 200 " + b"O" * 1_000_000
    assert says(await refusal_of(endless, route), "head")


@every_route
async def test_content_length_beside_chunks_is_read_or_refused_in_plain_words(route: Route) -> None:
    async def serve(connection: Connection) -> None:
        connection.write(whole(route, form=Form(extra=(b"Content-Length: 5",))))

    async with connected(serve, retry=ONCE) as (_, client):
        try:
            text = (await ask(client, route)).text
        except errors.BedrockStreamError as error:
            refused = says(error, "Content-Length", "Transfer-Encoding")
            text = "Hello world" if refused else str(error)
    assert text == "Hello world"


SETTINGS = b"\0\0\x12\x04\0\0\0\0\0" + b"\0\x03\0\0\0d" + b"\0\x04\0\x10\0\0" * 2
CODINGS = [b"gzip", b"gzip, chunked", b"chunked, gzip", b"identity", b"xchunked", b"chunked, chunked"]


@every_route
async def test_http_2_is_refused_in_plain_words(route: Route) -> None:
    assert says(await refusal_of(SETTINGS, route), "HTTP/2")
    assert says(await refusal_of(b"HTTP/2 200\r\n\r\n", route), "HTTP/2")


@pytest.mark.parametrize("coding", CODINGS)
@every_route
async def test_a_transfer_coding_that_is_not_chunked_is_refused_in_plain_words(route: Route, coding: bytes) -> None:
    data = whole(route).replace(b"Transfer-Encoding: chunked", b"Transfer-Encoding: " + coding)
    assert says(await refusal_of(data, route), "Transfer-Encoding")


@every_route
async def test_white_space_behind_the_transfer_coding_is_harmless(route: Route) -> None:
    async def serve(connection: Connection) -> None:
        connection.write(whole(route).replace(b": chunked", b": chunked\t"))
        connection.close()

    async with connected(serve, retry=ONCE) as (_, client):
        with suppress(errors.TransportError):  # never read as a body that ends with the connection
            assert (await ask(client, route)).text == "Hello world"


# ------------------------------------------------------------------------------------------------- damage inside a body

DAMAGE = {
    "an error page": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
    "HTML": b"<html><body>502</body></html>\r\n",
    "not a size": b"zz\r\nxx",
    "longer than said": b"3\r\nabcdefgh\r\n",
    "an endless size": b"f" * 20 + b"\r\n",
}
SEGMENTS = ("with the head", "later")

every_damage = pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
every_segment = pytest.mark.parametrize("segment", SEGMENTS)
closed_or_not = pytest.mark.parametrize("closed", [True, False], ids=["closed", "left open"])


def started(route: Route) -> bytes:
    """Return the start of an answer: the head and one chunk, with the events up to "Hello" or half a document."""
    size = 40
    if route.streaming:
        frames, size = stream_body(route, TEXTS), 0
        for _ in range(3 if route.native else 2):
            size += int.from_bytes(frames[size : size + 4], "big")
    pieces = answer(route, TEXTS, "own", "chunked", Form(sizes=(size, 4096)))
    first = next(index for index, piece in enumerate(pieces) if piece.body)
    return joined(pieces[: first + 2])


async def send_damaged(connection: Connection, start: bytes, damage: bytes, segment: str, *, closed: bool) -> None:
    """Send the start of an answer and damage: in one segment, or once the client has read the start."""
    if segment == "later":
        connection.write(start)
        await client_waits()
        start = b""
    connection.write(start + damage)
    if closed:
        connection.close()
    else:
        await connection.closed.wait()


@closed_or_not
@every_segment
@every_damage
@every_stream
async def test_damage_inside_a_stream_is_told_at_once_with_all_that_came(
    route: Route, damage: bytes, segment: str, closed: bool
) -> None:
    async def serve(connection: Connection) -> None:
        await send_damaged(connection, started(route), damage, segment, closed=closed)

    async with connected(serve) as (server, client):
        stream, events = client.stream(route.model, "Hi"), list[Any]()
        with pytest.raises(errors.StreamInterrupted) as caught:
            async with asyncio.timeout(AT_ONCE):
                await collect(stream, events)
        await soon(server.deserted(), SOON)
    error = caught.value
    assert "".join(getattr(event, "text", "") for event in events) == partial_of(error).text == "Hello"
    assert (error.request_id, error.retryable, error.events_received) == ("own", True, len(events))
    assert len(stream.attempts) == 1


@closed_or_not
@every_segment
@every_damage
@pytest.mark.parametrize("native", [False, True], ids=["converse", "native"])
async def test_damage_inside_a_whole_answer_is_told_at_once_and_retried(
    native: bool, damage: bytes, segment: str, closed: bool
) -> None:
    route = ROUTES["native generate" if native else "converse generate"]

    async def serve(connection: Connection) -> None:
        if len(server.connections) == 3:
            await answer_well(connection)
        else:
            await send_damaged(connection, started(route), damage, segment, closed=closed)

    async with connected(serve) as (server, client):
        with pytest.raises(errors.StreamInterrupted) as caught:
            async with asyncio.timeout(AT_ONCE):
                await client.generate(route.model, "Hi", retry=ONCE)
        assert (caught.value.request_id, caught.value.retryable) == ("own", True)
        async with asyncio.timeout(AT_ONCE):
            assert (await client.generate(route.model, "Hi")).text == "Hello world"
        assert (client.stats().attempts, client.stats().retries) == (3, 1)


@closed_or_not
@every_segment
@every_stream
async def test_damage_before_the_first_event_of_a_stream_is_retried(route: Route, segment: str, closed: bool) -> None:
    async def serve(connection: Connection) -> None:
        if len(server.connections) == 2:
            await answer_well(connection)
        else:
            head = started(route).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            await send_damaged(connection, head, DAMAGE["HTML"], segment, closed=closed)

    async with connected(serve) as (server, client), client.stream(route.model, "Hi") as stream:
        async with asyncio.timeout(AT_ONCE):
            assert (await stream.response()).text == "Hello world"
        assert [type(attempt.error) for attempt in stream.attempts] == [errors.StreamInterrupted, type(None)]


@closed_or_not
@every_segment
@every_stream
async def test_damage_behind_the_end_of_a_message_is_ignored(route: Route, segment: str, closed: bool) -> None:
    async def serve(connection: Connection) -> None:
        await send_damaged(
            connection, whole(route).removesuffix(b"0\r\n\r\n"), DAMAGE["not a size"], segment, closed=closed
        )

    async with connected(serve, retry=ONCE) as (_, client):
        async with asyncio.timeout(AT_ONCE):
            assert (await ask(client, route)).text == "Hello world"


GPT, LLAMA = "openai.gpt-oss-120b-1:0", "us.meta.llama3-2-3b-instruct-v1:0"
OTHER_FAMILIES: dict[str, list[dict[str, Any]]] = {
    GPT: [
        {"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}]},
        {"id": "c", "choices": [{"index": 0, "delta": {"content": "lo"}}]},
    ],
    LLAMA: [
        {"generation": "Hel", "prompt_token_count": 1, "generation_token_count": 1, "stop_reason": None},
        {"generation": "lo", "prompt_token_count": None, "generation_token_count": 2, "stop_reason": None},
    ],
}


@closed_or_not
@every_segment
@pytest.mark.parametrize("raw", [False, True], ids=["stream", "invoke_stream"])
@pytest.mark.parametrize("model", OTHER_FAMILIES)
async def test_damage_inside_a_stream_of_another_family(model: str, raw: bool, segment: str, closed: bool) -> None:
    documents = OTHER_FAMILIES[model]
    frames = b"".join(encode_frame(raw_chunk(json.dumps(document).encode())) for document in documents)

    async def serve(connection: Connection) -> None:
        start = STREAM_HEAD + b"%x\r\n%s\r\n" % (len(frames), frames)
        await send_damaged(connection, start, DAMAGE["an error page"], segment, closed=closed)

    async with connected(serve) as (server, client):
        stream = client.invoke_stream(model, {"prompt": "Hi"}) if raw else client.stream(model, "Hi")
        events = list[Any]()
        with pytest.raises(errors.StreamInterrupted) as caught:
            async with asyncio.timeout(AT_ONCE):
                await collect(stream, events)
        await soon(server.deserted(), SOON)
    assert caught.value.request_id == "request-1"
    if raw:
        assert events == documents
    else:
        assert "".join(getattr(event, "text", "") for event in events) == partial_of(caught.value).text == "Hello"
