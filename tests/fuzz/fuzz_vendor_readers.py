# The invariant: for any body in server-sent events, the reader of a vendor's API raises nothing but BedrockStreamError.
# Every way to split the same bytes has the same events, error and end as its result. The events can be encoded as JSON,
# assembled, and sent back as history. A body that is cut before its message's end never looks ended. The same document
# as a complete response is read or refused, too.
"""Run by hand: `python -m tests.fuzz.fuzz_vendor_readers --seconds 120 [--seed N]`: Messages, Chat and Responses."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple

import msgspec

from bedrock_stream.dialects.anthropic.messages import Messages
from bedrock_stream.dialects.chat import Chat, TaggedChat
from bedrock_stream.dialects.responses import Responses
from bedrock_stream.errors import BedrockStreamError
from bedrock_stream.types.events import Event, MessageStop
from bedrock_stream.types.messages import Message
from bedrock_stream.types.options import Options
from bedrock_stream.types.response import Assembly, Response
from tests.fuzz.fuzzing import command, mutated, mutated_json, some_cuts
from tests.support.vendor_streams import APIS, Step, encode

DIALECTS: dict[str, list[Any]] = {
    "messages": [Messages("/anthropic/v1")],
    "chat": [Chat("/v1"), TaggedChat("/v1")],
    "responses": [Responses("/v1")],
}
_STEPS: list[list[Step]] = [
    [("text", ["Hel", "lo ", "naïve", " \N{WATER WAVE}"])],
    [("reasoning", ["17 is", " odd"]), ("text", ["<reasoning>", "Yes", "."])],
    [("text", ["I will ", "look."]), ("call", "call_0", "look", ['{"city":"Os', 'lo"}']), ("call", "c1", "look", [])],
    [],
]
_ERRORS: list[Any] = [
    {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
    {"error": {"message": "m", "type": "server_error", "code": None}},
    {"message": "m"},
    {"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_error", "message": "m"}}},
    '{"error":"m"}',
]


class Outcome(NamedTuple):
    events: list[Event]
    error: str
    ended: bool


def read(dialect: Any, parts: Iterable[bytes]) -> Outcome:
    reader, events, message = dialect.reader(), deque[Event](), ""
    decoder = reader.new_decoder()
    try:
        for part in parts:
            reader.feed(decoder.feed(part), events)
            if decoder.error is not None:
                raise decoder.error
    except BedrockStreamError as error:
        message = repr(error)
    return Outcome(list(events), message, reader.ended)


def check(dialect: Any, body: bytes, cuts: Iterable[int]) -> Outcome:
    """Check the invariant; an exception that escapes or an AssertionError is a failure."""
    whole = read(dialect, [body])
    assert whole == read(dialect, [body[start:end] for start, end in pairwise(cuts)]), (
        "the outcome depends on the split"
    )
    assert whole.ended == any(isinstance(event, MessageStop) for event in whole.events)
    msgspec.json.encode(whole.events)
    assembly = Assembly()
    assembly.extend(whole.events)
    response = assembly.response(request_id="r", model="m", route=dialect.route)
    assert (response.stop_reason is not None) == whole.ended
    send_back(response)
    return whole


def send_back(response: Response) -> None:
    """Encode the body of a next turn with the answer in it, for each API. A `BedrockStreamError` is acceptable."""
    for turn in [response.message], response.to_history():
        for dialects in DIALECTS.values():
            with suppress(BedrockStreamError):
                body = dialects[0].body((Message("user", "Hello"), *turn), Options())
                msgspec.json.encode(dialects[0].complete_body(body, "m", streaming=True))


def check_answer(dialect: Any, document: bytes) -> None:
    """Check that a document as a complete response is read or refused."""
    with suppress(BedrockStreamError):
        send_back(dialect.answer(document, request_id="r", model="m"))


def check_cut(random: Random, dialect: Any, parts: list[bytes]) -> None:
    """Check that a valid body that is cut before its message's end does not look ended."""
    ends = next(count for count in range(len(parts) + 1) if read(dialect, parts[:count]).ended)
    body = b"".join(parts[:ends])
    assert not read(dialect, [body[: random.randrange(len(body) - 1)]]).ended


def _body(random: Random, documents: list[Any]) -> bytes:
    """Return a body of these documents after mutations of their order, of the documents and of the bytes."""
    for _ in range(random.randint(1, 3)):
        place, other = random.randrange(len(documents)), random.randrange(len(documents))
        match random.randrange(6):
            case 0:
                del documents[place]
                documents = documents or [{}]
            case 1:
                documents.insert(other, documents[place])
            case 2:
                documents.insert(place, random.choice(_ERRORS))
            case _:
                with suppress(ValueError, RecursionError):
                    documents[place] = json.loads(mutated_json(random, json.dumps(documents[place]).encode()))
    name = random.choice([b"", b"", b"event: error\n", b"event: x\n"])
    body = b"".join(name + b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents)
    return mutated(random, body) if random.random() < 0.1 else body


def try_one(random: Random) -> str:
    api = random.choice(list(APIS))
    dialect = random.choice(DIALECTS[api])
    documents: list[Any] = APIS[api](*random.choice(_STEPS))
    if random.random() < 0.05:
        check_cut(random, dialect, encode(api, documents))
        return f"{api} cut"
    body = _body(random, documents)
    try:
        outcome = check(dialect, body, some_cuts(random, len(body)))
        check_answer(dialect, random.choice(body.split(b"data: ")))
    except BaseException as failure:
        failure.add_note(f"{api}: {body!r}")
        raise
    return f"{api} {'refused' if outcome.error else 'ended' if outcome.ended else 'unfinished'}"


if __name__ == "__main__":
    sys.exit(command("Vendors' readers:", try_one))
