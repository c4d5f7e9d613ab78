"""HTTP answers of Bedrock as pieces of bytes, in every form that HTTP allows, and mutations of them.

A piece of the body is marked, because the checksums of an event stream detect any change of it, while a JSON document
has none.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.support.socket_server import END, START, frame, text

__all__ = (
    "FRAMINGS",
    "ROUTES",
    "Form",
    "Mutation",
    "Piece",
    "Route",
    "answer",
    "forms",
    "joined",
    "mutated",
    "mutations",
    "stream_body",
)


class Route(NamedTuple):
    """A model and a method of the client."""

    model: str
    streaming: bool
    native: bool


NOVA, CLAUDE = "amazon.nova-lite-v1:0", "anthropic.claude-3-sonnet-20240229-v1:0"
ROUTES = {
    "converse stream": Route(NOVA, streaming=True, native=False),
    "native stream": Route(CLAUDE, streaming=True, native=True),
    "converse generate": Route(NOVA, streaming=False, native=False),
    "native generate": Route(CLAUDE, streaming=False, native=True),
}
FRAMINGS = ("chunked", "length", "close")
"""How the end of a body is marked: by a last chunk, by Content-Length, or by the end of the connection."""


class Piece(NamedTuple):
    """Some bytes of an answer: the status line, a header line, a part of the framing, or a part of the body."""

    data: bytes
    body: bool = False


class Form(NamedTuple):
    """Choices that HTTP leaves to a server. The default is what most servers send."""

    version: bytes = b"HTTP/1.1"
    reason: bytes = b" OK"
    interim: tuple[bytes, ...] = ()
    spelling: Callable[[bytes], bytes] = bytes
    before: bytes = b" "
    after: bytes = b""
    extra: tuple[bytes, ...] = ()
    sizes: tuple[int, ...] = (4096,)
    size_format: bytes = b"%x"
    extension: bytes = b""
    trailers: tuple[bytes, ...] = ()
    last: bool = False
    """True if the server announces that it will close the connection."""


_INTERIM = (
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\nX-Progress: 1\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nContent-Length: 7\r\n\r\n",
)
_EXTRA = (
    b"X-Empty:",
    b"X-City: Z\xfcrich",
    b"X-Colons: a:b: c",
    b"X-Long: " + b"y" * 3000,
    b"Keep-Alive: timeout=5, max=100",
    b"Set-Cookie: a=b",
    b"Set-Cookie: c=d",
    b"x-amzn-bedrock-invocation-latency: 12",
    b"Date: Sun, 06 Nov 1994 08:49:37 GMT",
    b"!#$%&'*+-.^_`|~0: odd but legal",
)
_EXTENSIONS = (b"", b"", b";a", b";a=b", b";a-b=1;c", b';a="b;c";d')
_SIZE_FORMATS = (b"%x", b"%x", b"%X", b"00%x", b"0000000%X")


def forms(framing: str) -> st.SearchStrategy[Form]:
    """Return a strategy of all legal forms with this framing."""
    versions = [b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"] if framing == "close" else [b"HTTP/1.1"]
    chunked = framing == "chunked"
    return st.builds(
        Form,
        version=st.sampled_from(versions),
        reason=st.sampled_from([b" OK", b" OK", b" ", b" Very well, go on", b" \xc3\xa9\xe9"]),
        interim=st.lists(st.sampled_from(_INTERIM), max_size=2).map(tuple),
        spelling=st.sampled_from([bytes, bytes.lower, bytes.upper, bytes.title]),
        before=st.sampled_from([b" ", b"", b"   ", b"\t", b" \t "]),
        after=st.sampled_from([b"", b"", b" ", b" \t"]),
        extra=st.lists(st.sampled_from(_EXTRA), max_size=4).map(tuple),
        sizes=st.lists(st.integers(1, 400), min_size=1, max_size=4).map(tuple) if chunked else st.just((4096,)),
        size_format=st.sampled_from(_SIZE_FORMATS) if chunked else st.just(b"%x"),
        extension=st.sampled_from(_EXTENSIONS) if chunked else st.just(b""),
        trailers=st.lists(st.sampled_from(_EXTRA), max_size=2).map(tuple) if chunked else st.just(()),
        last=st.just(True) if framing == "close" else st.sampled_from([False] * 5 + [True]),
    )


# -------------------------------------------------------------------------------------------------------------- answers


def answer(route: Route, texts: Sequence[str], request_id: str, framing: str, form: Form | None = None) -> list[Piece]:
    """Return the pieces of a complete answer with these texts."""
    form = form or Form(last=framing == "close")
    body = stream_body(route, texts) if route.streaming else _document_of(route, "".join(texts))
    kind = "application/vnd.amazon.eventstream" if route.streaming else "application/json"
    head = [*(Piece(interim) for interim in form.interim), Piece(form.version + b" 200" + form.reason + b"\r\n")]
    named = [("Content-Type", kind), ("x-amzn-RequestId", request_id)]
    if framing == "chunked":
        named.append(("Transfer-Encoding", form.spelling(b"chunked").decode()))
    elif framing == "length":
        named.append(("Content-Length", str(len(body))))
    if form.last and not (framing == "close" and form.version == b"HTTP/1.0"):
        named.append(("Connection", "close"))
    head += [Piece(line + b"\r\n") for line in form.extra]
    head += [Piece(_header(form, name.encode(), value.encode())) for name, value in named]
    content = _chunks(form, body) if framing == "chunked" else _parts(body)
    return [*head, Piece(b"\r\n"), *content]


def joined(pieces: Iterable[Piece]) -> bytes:
    """Return the bytes of an answer."""
    return b"".join(piece.data for piece in pieces)


def _header(form: Form, name: bytes, value: bytes) -> bytes:
    after = form.after.rstrip(b"\t") if name == b"Transfer-Encoding" else form.after  # llhttp knows no tab there
    return form.spelling(name) + b":" + form.before + value + after + b"\r\n"


def _chunks(form: Form, body: bytes) -> list[Piece]:
    pieces, at, number = list[Piece](), 0, 0
    while at < len(body):
        size = min(form.sizes[number % len(form.sizes)], len(body) - at)
        line = form.size_format % size + form.extension + b"\r\n"
        pieces += [Piece(line), Piece(body[at : at + size], body=True), Piece(b"\r\n")]
        at, number = at + size, number + 1
    pieces.append(Piece(b"0" + form.extension + b"\r\n"))
    return [*pieces, *(Piece(line + b"\r\n") for line in form.trailers), Piece(b"\r\n")]


def _parts(body: bytes) -> list[Piece]:
    """Return a body in parts that do not end where a frame ends."""
    return [Piece(body[at : at + 97], body=True) for at in range(0, len(body), 97)]


def stream_body(route: Route, texts: Sequence[str]) -> bytes:
    """Return the frames of a complete stream with these texts."""
    if not route.native:
        return START + b"".join(map(text, texts)) + END
    deltas = (
        _native_chunk("content_block_delta", index=0, delta={"type": "text_delta", "text": each}) for each in texts
    )
    return _NATIVE_START + b"".join(deltas) + _NATIVE_END


def _document_of(route: Route, said: str) -> bytes:
    content: dict[str, Any] = {"text": said}
    if not route.native:
        message = {"role": "assistant", "content": [content]}
        usage = {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}
        return json.dumps({"output": {"message": message}, "stopReason": "end_turn", "usage": usage}).encode()
    usage = {"input_tokens": 1, "output_tokens": 2}
    answer = {**_MESSAGE, "content": [{"type": "text", **content}], "stop_reason": "end_turn", "usage": usage}
    return json.dumps(answer).encode()


def _native_chunk(kind: str, **members: Any) -> bytes:
    document = json.dumps({"type": kind, **members}).encode()
    return frame("chunk", {"bytes": b64encode(document).decode(), "p": "abcd"})


_MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "claude", "stop_sequence": None}
_NATIVE_START = _native_chunk(
    "message_start", message={**_MESSAGE, "content": [], "stop_reason": None, "usage": {"input_tokens": 1}}
) + _native_chunk("content_block_start", index=0, content_block={"type": "text", "text": ""})
_NATIVE_END = (
    _native_chunk("content_block_stop", index=0)
    + _native_chunk("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2})
    + _native_chunk("message_stop")
)


# ------------------------------------------------------------------------------------------------------------ mutations

_LONGEST = 64
"""Most bytes that one mutation removes or repeats: fewer than a frame has, since a whole frame is never missed."""

_STATUS_LINES = [
    *(b"HTTP/1.0 200 OK", b"HTTP/9.9 200 OK", b"HTTP/2.0 200 OK", b"HTTP/2 200", b"HTTP/0.9 200 OK", b"ICY 200 OK"),
    *(b"HTTP/1.1 101 Switching Protocols", b"HTTP/1.1 100 Continue", b"HTTP/1.1 199 Odd", b"HTTP/1.1 200"),
    *(b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 205 Reset Content", b"HTTP/1.1 206 Part"),
    *(b"HTTP/1.1 302 Found", b"HTTP/1.1 400 Bad Request", b"HTTP/1.1 407 Proxy", b"HTTP/1.1 500 Oh", b"HTTP/1.1 999 X"),
    *(
        b"HTTP/1.1 000 Zero",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 abc OK",
        b"HTTP/1.1 -200 OK",
        b"HTTP/1.1",
    ),
    *(b"HTTP/1.1  200 OK", b" HTTP/1.1 200 OK", b"\r\nHTTP/1.1 200 OK", b"http/1.1 200 OK", b"GET / HTTP/1.1", b""),
]
_LINES = [
    *(
        b"Content-Length: 5",
        b"Content-Length: 0",
        b"Content-Length: -1",
        b"Content-Length: +5",
        b"Content-Length: 0x10",
    ),
    *(
        b"Content-Length: 18446744073709551616",
        b"Content-Length: 9223372036854775807",
        b"Content-Length: 1" + b"0" * 30,
    ),
    *(
        b"Content-Length: 5, 5",
        b"Content-Length: 5,6",
        b"Content-Length:",
        b"Content-Length: 1e3",
        b"Content-Length: 4 2",
    ),
    *(b"Transfer-Encoding: gzip", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, gzip"),
    *(b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked", b"Transfer-Encoding: xchunked"),
    *(b"Transfer-Encoding:", b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding : chunked"),
    *(b"Connection: close", b"Connection: upgrade\r\nUpgrade: h2c", b"Connection: keep-alive", b"Upgrade: websocket"),
    *(b"Content-Encoding: gzip", b"Trailer: X-T", b"X-Folded: a\r\n b", b" leading: space", b"no colon", b": no name"),
    *(b"X-Null: a\0b", b"X-Return: a\rb", b"X-Name\x80: a", b"Content-Type: text/html", b"Location: http://127.0.0.1/"),
    *(b"X-Big: " + b"b" * 60_000, b"X-Giant: " + b"g" * 70_000, b"X-" + b"n" * 70_000 + b": 1"),
    b"\r\n".join(b"X-Many-%d: 1" % number for number in range(300)),
    b"\r\n".join(b"X-Few-%d: 1" % number for number in range(200)),
]
_SIZES = [
    b"-1",
    b"0",
    b"ffffffffffffffff",
    b"fffffffffffffffff",
    b"7fffffff",
    b"",
    b" ",
    b"0x5",
    b"5 ",
    b" 5",
    b"5;",
    b"g",
]
_SETTINGS = b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00d" + b"\x00\x04\x00\x10\x00\x00" * 2
_WHOLE = [
    *(b"", b"\r\n", b"\r\n\r\n", b"\0", b"H", b"HTTP/", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", _SETTINGS, b"A" * 70_000),
    *(b"SSH-2.0-OpenSSH_9.2\r\n", b"<html>no</html>", b"\x15\x03\x01\x00\x02\x02\x0a", b"HTTP/1.1 200 OK\r\n\r\n"),
    *(b"HTTP/1.1 100 Continue\r\n\r\n" * 50, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 304\r\n\r\n"),
]
_FOREIGN = [
    joined(answer(route, ["FOREIGN", " TEXT"], "foreign", framing)) for route in ROUTES.values() for framing in FRAMINGS
]
_JUNK = [b"\r\n", b"\0", b"x", b"HTTP/1.1 408 Request Time-out\r\nConnection: close\r\n\r\n", _SETTINGS, b"0\r\n\r\n"]


class Mutation(NamedTuple):
    """One change. `at`, `other` and `length` are taken modulo what there is."""

    kind: str
    at: int
    other: int
    length: int
    junk: bytes


_SMALL = ("flip", "set", "delete", "insert", "repeat", "truncate", "swap", "copy", "drop", "cut out")
_LARGE = ("status line", "header", "replace header", "size", "whole", "garbage", "behind", "before")


def mutations() -> st.SearchStrategy[list[Mutation]]:
    """Return a strategy of one to four mutations, most of them small: a large one often spoils the whole answer."""
    kinds = st.sampled_from(_SMALL * 3 + _LARGE + ("header", "size", "size", "behind", "behind"))
    numbers = st.integers(0, 2**16)
    return st.lists(
        st.builds(Mutation, kinds, numbers, numbers, numbers, st.binary(max_size=9)), min_size=1, max_size=4
    )


def mutated(pieces: list[Piece], changes: Sequence[Mutation], *, whole: bool) -> bytes:
    """Return the bytes of an answer after mutations. With `whole=False`, the body's own bytes stay as they are.

    An answer to somebody else may follow it, but never takes the place of one that is gone: no client could tell.
    """
    original, pieces, behind = len(joined(pieces)), list(pieces), b""
    for change in changes:
        touchable = [index for index, piece in enumerate(pieces) if whole or not piece.body]
        if change.kind == "behind":
            behind += _choose(_FOREIGN + _JUNK, change)
        elif touchable:
            pieces = _mutate(pieces, touchable, change, whole=whole)
    replaced = any(change.kind in ("whole", "garbage", "truncate") for change in changes)
    data = joined(pieces)
    return data if replaced or len(data) < original / 2 else data + behind


def _mutate(pieces: list[Piece], touchable: list[int], change: Mutation, *, whole: bool) -> list[Piece]:
    index, other = touchable[change.at % len(touchable)], touchable[change.other % len(touchable)]
    if change.kind in _LARGE:
        return _mutate_structure(pieces, index, change)
    match change.kind:
        case "swap":
            pieces[index], pieces[other] = pieces[other], pieces[index]
        case "copy":
            pieces.insert(other, pieces[index])
        case "drop":
            del pieces[index]
        case "truncate":
            data = joined(pieces)
            return [Piece(data[: change.length % (len(data) + 1)], body=True)]
        case "cut out" if whole:
            data = joined(pieces)
            start = (change.at * 7919 + change.other) % (len(data) + 1)
            return [Piece(data[:start] + data[start + change.length % _LONGEST :], body=True)]
        case _:
            data = _mutate_bytes(pieces[index].data, change)
            pieces[index] = Piece(data, pieces[index].body)
    return pieces


def _mutate_bytes(data: bytes, change: Mutation) -> bytes:
    at = change.other % (len(data) + 1)
    before, after, length = data[:at], data[at:], change.length % _LONGEST
    match change.kind:
        case "flip" if after:
            return before + bytes([after[0] ^ 1 << change.length % 8]) + after[1:]
        case "set" if after:
            return before + bytes([change.length % 256]) + after[1:]
        case "delete":
            return before + after[1 + length % 8 :]
        case "repeat":
            return before + after[:length] + after
        case _:
            return before + (change.junk or b"\r\n") + after


def _mutate_structure(pieces: list[Piece], index: int, change: Mutation) -> list[Piece]:
    status = next((at for at, piece in enumerate(pieces) if piece.data.startswith(b"HTTP/1.1 200")), 0)
    blank = next((at for at, piece in enumerate(pieces) if piece.data == b"\r\n"), 0)
    headers = max(1, blank - status)
    match change.kind:
        case "status line":
            pieces[status] = Piece(_choose(_STATUS_LINES, change) + b"\r\n")
        case "header":
            pieces.insert(status + 1 + change.at % headers, Piece(_choose(_LINES, change) + b"\r\n"))
        case "replace header" if blank - status > 1:
            pieces[status + 1 + change.at % (headers - 1)] = Piece(_choose(_LINES, change) + b"\r\n")
        case "size":
            sizes = [at for at, piece in enumerate(pieces) if at > blank and not piece.body and piece.data != b"\r\n"]
            if sizes:
                pieces[sizes[change.at % len(sizes)]] = Piece(_choose(_SIZES, change) + b"\r\n")
        case "whole":
            return [Piece(_choose(_WHOLE, change))]
        case "garbage":
            return [Piece(change.junk)]
        case "before":
            pieces.insert(status, Piece(_choose(_JUNK, change), body=True))
    return pieces


def _choose(values: Sequence[bytes], change: Mutation) -> bytes:
    return values[change.other % len(values)]
