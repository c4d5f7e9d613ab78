"""A Bedrock server in its own process that replays prepared bytes, so that it takes no CPU time from its clients.

It accepts any authorization and follows the `Order` in the prompt. Paced streams are spread evenly over the interval,
so that a client is woken for one stream at a time, as with independent streams. It serves plain HTTP and, if there is a
certificate, TLS. It uses uvloop if that is installed, since its own cost is not measured.

    python -m benchmarks.servers [--certificate FILE]    prints its ports as JSON, serves until stdin is closed
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from . import answers
from .loops import loop_factory, raise_file_limit
from .orders import Order

__all__ = ("Servers", "gate", "serving", "started")

_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n"
    b"x-amzn-RequestId: 00000000-0000-0000-0000-000000000000\r\ntransfer-encoding: chunked\r\n\r\n"
)
_FRAMES, _SSE = _HEAD % b"application/vnd.amazon.eventstream", _HEAD % b"text/event-stream"
_HEADS = {"converse": _FRAMES, "invoke": _FRAMES, "messages": _SSE, "chat": _SSE}
# The end of the path -> the form of the answer; any other is Converse's.
_FORMS = {b"/invoke-with-response-stream ": "invoke", b"/messages ": "messages", b"/chat/completions ": "chat"}
_END = b"0\r\n\r\n"
_GATE = b"POST /gate HTTP/1.1\r\ncontent-length: 0\r\n\r\n"


class Servers(NamedTuple):
    """The URLs of the servers."""

    plain: str
    tls: str | None
    """None if trustme, which creates the certificate, is not installed."""
    cafile: str | None
    """The CA certificate for `tls`."""


@contextmanager
def serving() -> Iterator[Servers]:
    """Run the servers in their own process during the block."""
    with tempfile.TemporaryDirectory() as folder:
        cafile, certificate = _certificate(Path(folder))
        with started("benchmarks.servers", ["--certificate", certificate] if certificate else []) as ports:
            tls = f"https://127.0.0.1:{ports['tls']}" if certificate else None
            yield Servers(f"http://127.0.0.1:{ports['plain']}", tls, cafile)


@contextmanager
def started(module: str, arguments: Sequence[str]) -> Iterator[Any]:
    """Run a module that serves until its stdin is closed, and yield the JSON of the first line that it prints."""
    # Nothing is written to its stdin. It is closed when this process ends, however that happens.
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin:
            yield json.loads(process.stdout.readline())


@contextmanager
def gate(url: str) -> Iterator[Callable[[], None]]:
    """Connect to a server, and yield the function that lets it send the rest of all gated answers."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        yield partial(connection.sendall, _GATE)


def _certificate(folder: Path) -> tuple[str | None, str | None]:
    """Write a CA certificate and a server certificate with its key; return their paths, or Nones without trustme."""
    try:
        import trustme
    except ImportError:
        return None, None
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return str(folder / "authority.pem"), str(folder / "server.pem")


# --------------------------------------------------------------------------------------------------- the server process


class _Crowds:
    """Requests that wait for others with the same order, and answers that wait at the gate."""

    def __init__(self) -> None:
        self._waiting: dict[Order, list[_Connection]] = {}
        self._at_gate: list[_Connection] = []

    def add(self, connection: _Connection, order: Order) -> None:
        crowd = self._waiting.setdefault(order, [])
        crowd.append(connection)
        if len(crowd) >= order.crowd:
            del self._waiting[order]
            for index, member in enumerate(crowd):
                member.respond(order, index / len(crowd))

    def wait_at_gate(self, connection: _Connection) -> None:
        self._at_gate.append(connection)

    def open_gate(self) -> None:
        waiting, self._at_gate = self._at_gate, []
        for index, connection in enumerate(waiting):
            connection.continue_response(index / len(waiting))


class _Connection(asyncio.Protocol):
    """One connection, which handles one request at a time."""

    def __init__(self, crowds: _Crowds) -> None:
        self._crowds = crowds
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._request = b""
        self._form = ""
        self._is_whole = False
        self._deltas: Iterator[bytes] = iter(())
        self._order = Order(0)
        self._due = 0.0
        self._remaining = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._request += data
        head, end, body = self._request.partition(b"\r\n\r\n")
        if self._request == _GATE:
            self._request = b""
            self._crowds.open_gate()
        elif end and _is_complete(head.lower(), body):
            self._request = b""
            line = head.partition(b"\r\n")[0]
            self._form = next((form for path, form in _FORMS.items() if path in line), "converse")
            self._is_whole = b"/converse HTTP" in head
            order = Order.read(body)
            if order.wait_ms:
                self._loop.call_later(order.wait_ms / 1000, self._crowds.add, self, order)
            else:
                self._crowds.add(self, order)

    def respond(self, order: Order, phase: float) -> None:
        """Start the response; `phase` is the offset of this stream within the interval, from 0 to 1."""
        if self._is_whole:
            self._write(_document(order.events))
            return
        if not (order.pace_ms or order.held or order.gated):
            self._write(_complete_response(self._form, order.events))
            return
        answer = answers.answer(self._form, order.events)
        self._order, self._remaining, self._deltas = order, order.events, iter(answer.deltas)
        self._write(_HEADS[self._form] + answers.chunk(answer.start))
        if order.gated:
            self._write_delta()
            self._crowds.wait_at_gate(self)
        else:
            self.continue_response(phase)

    def continue_response(self, phase: float) -> None:
        """Send the deltas that remain, at the pace of the order."""
        order = self._order
        if order.pace_ms or order.held:
            self._due = self._loop.time() + phase * order.pace_ms / 1000
            self._loop.call_at(self._due, self._send_next)
        else:
            self._write(_rest_of_response(self._form, order.events))

    def _send_next(self) -> None:
        order = self._order
        if self._remaining and self._transport is not None:
            self._write_delta()
            self._due += order.pace_ms / 1000
            self._loop.call_at(self._due, self._send_next)
        elif not order.held:
            self._write(answers.chunk(answers.answer(self._form, order.events).end) + _END)

    def _write_delta(self) -> None:
        self._remaining -= 1
        delta = answers.stamped(time.monotonic()) if self._order.stamped else next(self._deltas)
        self._write(answers.chunk(delta))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


@lru_cache(maxsize=8)
def _complete_response(form: str, events: int) -> bytes:
    return _HEADS[form] + _chunks(answers.answer(form, events).whole())


@lru_cache(maxsize=8)
def _document(events: int) -> bytes:
    """Return the response of Converse, which is not streamed."""
    message = {"role": "assistant", "content": [{"text": "".join(answers.words(events))}]}
    usage = {"inputTokens": 20, "outputTokens": events, "totalTokens": 20 + events}
    answer = {"output": {"message": message}, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 200}}
    body = json.dumps(answer).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


@lru_cache(maxsize=8)
def _rest_of_response(form: str, events: int) -> bytes:
    """Return the response without its head and its first delta."""
    answer = answers.answer(form, events)
    return _chunks(b"".join((*answer.deltas[1:], answer.end)))


def _chunks(body: bytes) -> bytes:
    return b"".join((*map(answers.chunk, answers.reads(body)), _END))


def _is_complete(head: bytes, body: bytes) -> bool:
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    return len(body) >= int(length) if length else body.endswith(_END)


async def _serve(certificate: str | None) -> None:
    raise_file_limit()
    loop, crowds = asyncio.get_running_loop(), _Crowds()
    plain = await loop.create_server(lambda: _Connection(crowds), "127.0.0.1", 0, backlog=4096)
    ports = {"plain": plain.sockets[0].getsockname()[1]}
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        tls = await loop.create_server(lambda: _Connection(crowds), "127.0.0.1", 0, backlog=4096, ssl=context)
        ports["tls"] = tls.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Serve until stdin is closed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--certificate", help="file with the key and the certificate chain for TLS")
    with asyncio.Runner(loop_factory=loop_factory("uvloop", needed=False)) as runner:
        runner.run(_serve(parser.parse_args().certificate))


if __name__ == "__main__":
    main()
