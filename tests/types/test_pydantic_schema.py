"""Messages, blocks, events and responses as types in pydantic models and FastAPI endpoints."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Annotated, Any

import httpx
import msgspec
import pytest
from fastapi import Body, FastAPI
from pydantic import BaseModel, TypeAdapter, ValidationError

from bedrock_stream import (
    Block,
    Event,
    Image,
    Message,
    Reasoning,
    Response,
    Text,
    TextDelta,
    ToolCall,
    ToolCallEnd,
    ToolResult,
    Usage,
)

HISTORY = [
    Message.user("What is this?", Image(b"GIF89a")),
    Message.assistant(Reasoning("Hm.", "c2ln"), Reasoning(redacted=b"\xff\x00"), ToolCall("1", "look", {"at": [1]})),
    Message.user(ToolResult("1", ["a", {"json": 1}], "success")),
]
MESSAGE, EVENT = TypeAdapter(Message), TypeAdapter[Event](Event)


class City(BaseModel):
    name: str


class Place(BaseModel):
    """A type that contains itself."""

    name: str
    parts: list[Place] = []


class Chat(BaseModel):
    messages: list[Message]
    answer: Response[City] | None = None
    usage: Usage | None = None
    block: Block | None = None


@pytest.mark.parametrize("message", HISTORY, ids=["an image", "reasoning and a call", "a result"])
def test_the_form_is_that_of_to_json(message: Message) -> None:
    assert MESSAGE.validate_json(message.to_json()) == message
    assert MESSAGE.validate_python(json.loads(message.to_json())) == message
    assert MESSAGE.validate_python(message) is message
    assert MESSAGE.dump_json(message) == message.to_json()
    assert MESSAGE.validate_python(MESSAGE.dump_python(message)) == message


@pytest.mark.parametrize("event", [TextDelta(0, "a"), ToolCallEnd(1, "1", "f", {"a": 1}, "{}")])
def test_any_event_is_read_by_its_type(event: Event) -> None:
    data = msgspec.json.encode(event)
    assert EVENT.validate_json(data) == event
    assert EVENT.dump_json(event) == data
    assert EVENT.validate_python(event) is event


def test_a_model_with_values_survives_json() -> None:
    answer = Response(message=HISTORY[1], text="a", parsed=City(name="Oslo"), usage=Usage(1, 2))
    chat = Chat(messages=HISTORY, answer=answer, usage=Usage(3), block=Text("a"))
    read = Chat.model_validate_json(chat.model_dump_json())
    assert read == chat
    assert read.answer is not None
    assert read.answer.parsed == City(name="Oslo")


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"role": "robot", "content": []}, "Invalid enum value 'robot' - at `$.role`"),
        ({"content": []}, "Object missing required field `role`"),
        (5, "Expected `object`, got `int`"),
        (TextDelta(0, "a"), "Expected `object`, got `TextDelta`"),
        ({"role": "user", "content": [{"type": "nope"}]}, "Invalid value 'nope' - at `$.content[0].type`"),
        ({"role": "user", "content": [{"type": "text", "text": ""}]}, "Message.content[0]: expected non-empty text"),
        ({"role": "user", "content": [{"type": "image", "data": "?"}]}, "Invalid base64 encoded string"),
    ],
)
def test_a_wrong_document_is_pydantics_error_with_the_path(document: Any, problem: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[Message]).validate_python([HISTORY[0], document])
    (error,) = caught.value.errors()
    assert error["loc"] == (1,)
    assert error["msg"].startswith("Input should be a valid Message: ")
    assert problem in error["msg"]


def references(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        found = {schema["$ref"]} if isinstance(schema.get("$ref"), str) else set()
        return found.union(*map(references, schema.values()))
    return set().union(*map(references, schema)) if isinstance(schema, list) else set()


@pytest.mark.parametrize("kind", [Message, Event, list[Block], Chat, Response[Place]], ids=str)
@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_the_json_schema_is_complete(kind: Any, mode: Any) -> None:
    schema = TypeAdapter(kind).json_schema(mode=mode)
    names = {reference.removeprefix("#/$defs/") for reference in references(schema)}
    assert names <= set(schema.get("$defs", {}))


async def test_an_endpoint_takes_and_returns_them() -> None:
    app = FastAPI()

    async def chat(messages: list[Message]) -> Message:
        return messages[-2]

    async def event(item: Annotated[Event, Body()]) -> Event:
        return item

    app.post("/chat")(chat)
    app.post("/event")(event)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as http:
        answer = await http.post("/chat", json=[json.loads(message.to_json()) for message in HISTORY])
        assert Message.from_json(answer.content) == HISTORY[1]
        same = await http.post("/event", json={"type": "text_delta", "index": 0, "text": "a"})
        assert same.json() == {"type": "text_delta", "index": 0, "text": "a"}
        refused = await http.post("/chat", json=[{"role": "user"}])
        assert refused.status_code == 422
        assert refused.json()["detail"][0]["loc"] == ["body", 0]
        assert "missing required field `content`" in refused.json()["detail"][0]["msg"]
        document = (await http.get("/openapi.json")).json()
    assert {"Message", "TextDelta"} <= set(document["components"]["schemas"])
    named = {reference.rpartition("/")[2] for reference in references(document)}
    assert named <= set(document["components"]["schemas"])


def test_the_package_does_not_import_pydantic() -> None:
    code = "import sys\nfrom bedrock_stream import *\nClient(api_key='k')\nprint('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=50, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own code
    assert done.stdout.strip() == "False"
