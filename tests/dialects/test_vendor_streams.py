"""Streams of Messages, Chat Completions and Responses: cut anywhere, split anywhere, with errors, and damaged."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import BlockStop, Event, MessageStop, Response, TextDelta, errors
from bedrock_stream.dialects.anthropic.messages import Messages
from bedrock_stream.dialects.chat import Chat
from bedrock_stream.dialects.incoming import EventStream
from bedrock_stream.dialects.responses import Responses
from bedrock_stream.errors import BedrockStreamError, ServiceError, StreamInterrupted
from bedrock_stream.types.response import Assembly
from tests.support.vendor_streams import APIS, Wire, encode, responses, responses_answer

DIALECTS: dict[str, Any] = {
    "messages": Messages("/anthropic/v1"),
    "chat": Chat("/v1"),
    "responses": Responses("/v1"),
}
ENDS = {"messages": b'"message_stop"', "chat": b'"finish_reason":"', "responses": b'"type":"response.completed"'}
STEPS = [
    ("reasoning", ["Hm", "m"]),
    ("text", ["Hel", "lo wörld", " \u2028你好"]),
    ("call", "call_1", "look", ['{"a"', ":1}"]),
    ("call", "call_2", "look", []),
]
USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
MORE: dict[str, Wire] = {
    "messages": {"stop": "tool_use"},
    "chat": {"stop": "tool_calls", "usage": USAGE},
    "responses": {},
}


def documents(api: str) -> list[Wire]:
    return APIS[api](*STEPS, **MORE[api])


class Outcome:
    """What came of a body, and how it ended."""

    def __init__(self, api: str, parts: Iterable[bytes]) -> None:
        events, self.events = deque[Event](), list[Event]()
        self.failure: BedrockStreamError | None = None
        incoming = EventStream(DIALECTS[api].reader(), events, Assembly())
        for part in parts:
            failure = incoming.receive(part)
            self.events += events
            events.clear()
            if failure is not None:
                self.failure = failure
                break
        else:
            try:
                incoming.finish(None)
            except BedrockStreamError as error:
                self.failure = error
        if not incoming.begun:  # the start is held back until something follows it
            incoming.release()
            self.events += events
        assert incoming.assembly is not None
        self.response: Response = incoming.assembly.response()


def split(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    return [data[start:end] for start, end in pairwise([0, *sorted(cuts), len(data)])]


# ------------------------------------------------------------------------------------------------------- cut and split


@pytest.mark.parametrize("line", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("api", APIS)
def test_a_body_cut_at_any_byte_is_interrupted_until_the_message_has_ended(api: str, line: bytes) -> None:
    parts = encode(api, documents(api), line=line)
    data, whole = b"".join(parts), Outcome(api, parts)
    assert whole.failure is None
    # The blank line that ends an event ends with its CR, as far as anyone can tell.
    needed = sum(map(len, parts[: next(i for i, part in enumerate(parts) if ENDS[api] in part) + 1])) - (
        line == b"\r\n"
    )
    for offset in range(len(data) + 1):
        outcome = Outcome(api, [data[:offset]])
        response = outcome.response
        if offset < needed:
            assert type(outcome.failure) is StreamInterrupted, offset
            assert (response.stop_reason, response.usage) == (None, None)
            assert outcome.events == whole.events[: len(outcome.events)]
            assert len(response.tool_calls) <= 2
        else:
            assert outcome.failure is None, offset
            assert (response.text, response.stop_reason) == (whole.response.text, "tool_use")
            assert response.tool_calls == whole.response.tool_calls


@pytest.mark.parametrize("api", APIS)
def test_a_body_split_at_any_byte_has_the_same_events(api: str) -> None:
    parts = encode(api, documents(api))
    data, whole = b"".join(parts), Outcome(api, parts)
    assert Outcome(api, [data]).events == whole.events
    assert Outcome(api, [data[i : i + 1] for i in range(len(data))]).events == whole.events
    for offset in range(1, len(data), 3):
        assert Outcome(api, [data[:offset], data[offset:]]).events == whole.events


@given(st.data())
@pytest.mark.parametrize("api", APIS)
def test_a_body_split_in_any_way_has_the_same_events(api: str, data: st.DataObject) -> None:
    parts = encode(api, documents(api))
    body = b"".join(parts)
    cuts = data.draw(st.sets(st.integers(1, len(body) - 1), max_size=20))
    assert Outcome(api, split(body, cuts)).events == Outcome(api, parts).events


@pytest.mark.parametrize("api", APIS)
def test_comments_names_and_ids_of_events_change_nothing(api: str) -> None:
    parts = encode(api, documents(api))
    more = [b": keepalive\n\n" + part.replace(b"data:", b"id: 7\nretry: 9\n: hi\ndata:", 1) for part in parts]
    assert Outcome(api, more).events == Outcome(api, parts).events


@pytest.mark.parametrize("api", APIS)
def test_an_answer_without_content_ends_normally(api: str) -> None:
    outcome = Outcome(api, encode(api, APIS[api]()))
    assert (outcome.failure, outcome.response.text, outcome.response.stop_reason) == (None, "", "end_turn")


@pytest.mark.parametrize("api", APIS)
def test_every_block_stops_before_the_message_does(api: str) -> None:
    events = Outcome(api, encode(api, documents(api))).events
    end = next(place for place, event in enumerate(events) if isinstance(event, MessageStop))
    opened = {event.index for event in events if hasattr(event, "index")}
    assert opened == {event.index for event in events[:end] if isinstance(event, BlockStop)}


# --------------------------------------------------------------------------------------------------------------- errors

WORDS = {
    "api_error": errors.InternalServerError,
    "authentication_error": errors.AccessDenied,
    "context_length_exceeded": errors.ContextWindowExceeded,
    "insufficient_quota": errors.QuotaExceeded,
    "invalid_prompt": errors.ValidationFailed,
    "invalid_request_error": errors.ValidationFailed,
    "model_not_found": errors.ResourceNotFound,
    "not_found_error": errors.ResourceNotFound,
    "overloaded_error": errors.ServiceUnavailable,
    "permission_error": errors.AccessDenied,
    "rate_limit_error": errors.Throttled,
    "rate_limit_exceeded": errors.Throttled,
    "request_too_large": errors.ValidationFailed,
    "server_error": errors.InternalServerError,
    "server_shutting_down": errors.ServiceUnavailable,
    "service_unavailable_error": errors.ServiceUnavailable,
    "timeout_error": errors.ModelTimeout,
    "validation_error": errors.ValidationFailed,
    None: errors.InternalServerError,
}


def forms(code: str | None) -> dict[str, Any]:
    """Return an error with this code in every form that is known of a stream, without those of one API."""
    text = msgspec.json.encode({"error": {"message": "boom", "code": code}}).decode()
    return {
        "nested": {"error": {"message": "boom", "type": code, "param": None, "code": None}},
        "nested, with a type": {"type": "error", "error": {"type": code, "message": "boom"}},
        "code beside a vaguer type": {"error": {"message": "boom", "type": "invalid_request_error", "code": code}}
        if code is not None
        else {"error": {"message": "boom", "code": None}},
        "flat": {"type": "error", "code": code, "message": "boom", "param": None},
        "JSON in the message": {"type": "error", "message": text},
        "JSON in the error": {"error": text},
        "JSON in a text": text,
        "of an open server": {"object": "error", "message": "boom", "type": code, "code": 500},
    }


def error_of(api: str, document: Any, *, name: bytes = b"") -> BedrockStreamError:
    """Return the failure of a stream with some text and this document in it; checks what came before."""
    parts = encode(api, APIS[api](("text", ["Hel", "lo", " world"])))
    place = next(place for place, part in enumerate(parts) if b'"lo"' in part) + 1
    data = document if isinstance(document, bytes) else msgspec.json.encode(document)
    outcome = Outcome(api, [*parts[:place], name + b"data: " + data + b"\n\n", *parts[place:]])
    assert [event.text for event in outcome.events if isinstance(event, TextDelta)] == ["Hel", "lo"]
    assert outcome.response.stop_reason is None
    assert outcome.failure is not None
    return outcome.failure


@pytest.mark.parametrize("form", forms("x"))
@pytest.mark.parametrize("api", APIS)
def test_an_error_in_a_stream_is_of_one_class_in_any_form(api: str, form: str) -> None:
    for code, cls in WORDS.items():
        error = error_of(api, forms(code)[form])
        assert isinstance(error, ServiceError)
        assert type(error) is cls, (code, error)
        assert (error.message, error.mid_stream, error.retryable) == ("boom", True, cls.retryable)
        assert code is None or code in (error.code, error.original_code)


@pytest.mark.parametrize("document", [{"message": "It broke."}, b"It broke.", {"detail": "It broke."}])
@pytest.mark.parametrize("api", APIS)
def test_an_event_that_is_named_an_error_is_one(api: str, document: Any) -> None:
    error = error_of(api, document, name=b"event: error\n")
    assert (type(error), str(error)) == (errors.InternalServerError, "HTTP 500: It broke.")


@pytest.mark.parametrize("api", APIS)
def test_a_document_with_words_alone_is_an_error(api: str) -> None:
    error = error_of(api, {"message": "The system encountered an unexpected error. Try again."})
    assert type(error) is errors.InternalServerError


def test_an_anthropic_error_has_its_request_id() -> None:
    error = error_of(
        "messages", {"type": "error", "request_id": "req_1", "error": {"type": "api_error", "message": "no"}}
    )
    assert error.request_id == "req_1"


@pytest.mark.parametrize(("code", "cls"), WORDS.items())
def test_an_answer_that_has_failed_is_an_error(code: str | None, cls: type[ServiceError]) -> None:
    failure = {"code": code, "message": "boom"}
    answer = responses_answer((), status="failed", error=failure, usage=None)
    error = error_of("responses", {"type": "response.failed", "response": answer})
    assert (type(error), error.retryable) == (cls, cls.retryable)
    with pytest.raises(ServiceError, match="boom") as caught:
        Responses("/v1").answer(msgspec.json.encode(answer), request_id=None, model="m")
    assert type(caught.value) is cls


def test_a_failure_behind_all_output_is_an_error() -> None:
    parts = encode("responses", responses(("text", ["Hello"]))[:-1])
    failed = {"type": "response.failed", "response": responses_answer((), status="failed", error=None)}
    outcome = Outcome("responses", [*parts, *encode("responses", [failed])])
    assert type(outcome.failure) is errors.InternalServerError
    assert (outcome.response.text, outcome.response.stop_reason) == ("Hello", None)


@pytest.mark.parametrize(
    "words",
    [
        "prompt tokens (400007) exceed model maximum (278528) for openai.gpt-5.5",
        "This model's maximum context length is 202752 tokens. However, you requested more.",
        "prompt is too long: 210000 tokens > 200000 maximum",
    ],
)
@pytest.mark.parametrize("api", APIS)
def test_an_input_that_is_too_long_is_told_by_its_words(api: str, words: str) -> None:
    for kind in ("invalid_request_error", "validation_error", None):
        error = error_of(api, {"type": "error", "error": {"type": kind, "message": words}})
        assert type(error) is errors.ContextWindowExceeded


# --------------------------------------------------------------------------------------------------------------- damage

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["response.completed", "text"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def changed(document: Any, data: st.DataObject) -> Any:
    """Return a document in which one member, at any depth, is another value or gone."""
    if isinstance(document, dict) and document:
        name = data.draw(st.sampled_from(sorted(document)))
        if data.draw(st.booleans()):
            return {**document, name: changed(document[name], data)}
        return {key: value for key, value in document.items() if key != name or data.draw(st.booleans())}
    if isinstance(document, list) and document and data.draw(st.booleans()):
        return [changed(document[0], data), *document[1:]]
    return data.draw(values)


@given(st.data())
@pytest.mark.parametrize("api", APIS)
def test_a_damaged_document_raises_nothing_but_our_errors(api: str, data: st.DataObject) -> None:
    wires = documents(api)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(wires) - 1))
        wires[place] = changed(wires[place], data)
    parts = [b"data: " + msgspec.json.encode(wire) + b"\n\n" for wire in wires]
    whole = Outcome(api, [b"".join(parts)])
    one_by_one = Outcome(api, parts)
    assert (whole.events, repr(whole.failure)) == (one_by_one.events, repr(one_by_one.failure))
    assert (whole.response.stop_reason is not None) == any(isinstance(event, MessageStop) for event in whole.events)
    msgspec.json.encode(whole.events)


@given(st.binary(max_size=200))
@pytest.mark.parametrize("api", APIS)
def test_any_bytes_raise_nothing_but_our_errors(api: str, data: bytes) -> None:
    Outcome(api, [data])
    Outcome(api, [b"data: " + data + b"\n\n"])


@given(values)
@pytest.mark.parametrize("api", APIS)
def test_any_complete_response_is_read_or_refused(api: str, value: Any) -> None:
    body = msgspec.json.encode(
        {"choices": value, "output": value, "content": value, "status": "completed", "usage": value}
    )
    try:
        response = DIALECTS[api].answer(body, request_id=None, model="m")
    except BedrockStreamError:
        return
    assert response.stop_reason is not None
