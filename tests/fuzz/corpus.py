"""Valid inputs for the fuzz harnesses: responses of each dialect, encoded by the emulator, and their mutations."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec

from bedrock_stream.dialects import Dialect
from bedrock_stream.dialects.anthropic import Anthropic
from bedrock_stream.dialects.converse import Converse
from bedrock_stream.dialects.llama import Llama
from bedrock_stream.dialects.openai import OpenAI
from bedrock_stream.errors import BedrockStreamError
from bedrock_stream.eventstream import Decoder, Frame
from bedrock_stream.request.models import describe
from bedrock_stream.request.route import choose_route
from bedrock_stream.testing import script
from bedrock_stream.testing.answers.facts import Facts
from bedrock_stream.testing.answers.frames import FrameWriter, independent_crc
from bedrock_stream.testing.answers.native import claude_answer, llama_answer, openai_answer
from bedrock_stream.testing.answers.rendering import CONVERSE, Form
from bedrock_stream.testing.steps import Step
from bedrock_stream.types.messages import Message
from bedrock_stream.types.options import Options
from tests.fuzz.fuzzing import mutated_json

__all__ = ("FAMILIES", "Family", "mutated_frames", "send_back")

FIXTURES = Path(__file__).parents[2] / "fixtures"
_SCRIPTS: list[list[Step]] = [
    [script.text(["Hel", "lo ", "naïve", " \N{WATER WAVE}"])],
    [script.text(["I will ", "look."]), script.tool_call("look", {"city": "Oslo", "days": [1, 2]}), script.stop()],
    [script.tool_call("a", {}), script.tool_call("b", {"x": None})],
    [script.reasoning(["17 is", " odd"]), script.text(["Yes", "."])],
    [script.text(["As the report says"]), script.citation(title="Report", source="s")],
    [script.text(["cut of"]), script.stop("max_tokens")],
]


class Family(NamedTuple):
    """A dialect with sample streams and responses."""

    name: str
    model: str
    dialect: Dialect
    streams: list[list[Frame]]
    answers: list[bytes]


def send_back(family: Family, message: Message) -> None:
    """Choose a route and encode the body of a next turn with this message. A `BedrockStreamError` is acceptable."""
    options = Options()
    with suppress(BedrockStreamError):
        route = choose_route(describe(family.model), (Message("user", "Hello"), message), options)
        msgspec.json.encode(route.dialect.body(route.messages, options))


def _family(name: str, model: str, dialect: Dialect, form: Form) -> Family:
    facts = Facts(11, 1, {}, "model")
    supported = [steps for steps in _SCRIPTS if not any(map(form.unsupported, steps))]
    streams = [_stream(steps, form, facts) for steps in supported]
    return Family(
        name, model, dialect, streams, [json.dumps(form.document(steps, facts)).encode() for steps in supported]
    )


def _stream(steps: Sequence[Step], form: Form, facts: Facts) -> list[Frame]:
    composer, writer = form.composer(steps, facts), FrameWriter(independent_crc())
    events = [event for step in steps for event in composer.compose(step)]
    data = b"".join(writer.event(event.name, event.payload) for event in [*events, *composer.finish()])
    return Decoder().feed(data)


FAMILIES = [
    _family("converse", "amazon.nova-pro-v1:0", Converse(), CONVERSE),
    _family("anthropic", "anthropic.claude-3-sonnet-20240229-v1:0", Anthropic(), claude_answer.form({})),
    _family("openai", "openai.gpt-oss-20b-1:0", OpenAI(), openai_answer.form({})),
    _family("llama", "meta.llama3-1-8b-instruct-v1:0", Llama("llama3"), llama_answer.form({})),
]
# Blocks that the emulator does not send: of other models, of tools that the service runs, and of unknown types.
_BLOCKS: list[dict[str, Any]] = [
    {"image": {"format": "png", "source": {"bytes": "aGk="}}},
    {"toolUse": {"toolUseId": "t", "name": "search", "input": {"q": 1}, "type": "server_tool_use"}},
    {"toolResult": {"toolUseId": "t", "content": [{"json": {"a": 1}}, {"text": "x"}], "status": "success"}},
    {"toolUse": {"toolUseId": "t", "name": "f", "input": "cut"}},
    {"reasoningContent": {"redactedContent": "aGk="}},
    {
        "citationsContent": {
            "content": [{"text": "x"}],
            "citations": [{"title": "t", "location": {"documentChar": {"documentIndex": 0, "start": 0, "end": 1}}}],
        }
    },
    {"blockOfTomorrow": {"a": [1]}},
]
FAMILIES[0].answers.extend(
    json.dumps({"output": {"message": {"role": "assistant", "content": [block]}}, "stopReason": "end_turn"}).encode()
    for block in _BLOCKS
)
FAMILIES[0].streams.extend(Decoder().feed(path.read_bytes()) for path in sorted(FIXTURES.glob("*.bin")))


# ------------------------------------------------------------------------------------------------------------ mutations

_HEADERS = (":event-type", ":message-type", ":exception-type", ":error-code", ":error-message", ":content-type")
_VALUES = ("event", "exception", "error", "chunk", "metadata", "messageStop", "throttlingException", "", True, 7, b"x")


def mutated_frames(random: Random, frames: Sequence[Frame]) -> list[Frame]:
    """Return the frames after one to four mutations that checksums would not detect."""
    result = list(frames)
    for _ in range(random.randint(1, 4)):
        if not result:
            break
        index = random.randrange(len(result))
        match random.randrange(8):
            case 0:
                del result[index]
            case 1:
                result.insert(random.randrange(len(result) + 1), result[index])
            case 2:
                other = random.randrange(len(result))
                result[index], result[other] = result[other], result[index]
            case 3:
                headers = {**result[index].headers, random.choice(_HEADERS): random.choice(_VALUES)}
                result[index] = Frame(headers, result[index].payload)
            case _:
                result[index] = Frame(result[index].headers, _mutated_payload(random, result[index].payload))
    return result


def _mutated_payload(random: Random, payload: bytes) -> bytes:
    """Mutate the event, or the model's document inside it."""
    try:
        wire = json.loads(payload)
        document = b64decode(wire["bytes"])
        if random.random() < 0.9:
            return json.dumps({**wire, "bytes": b64encode(mutated_json(random, document)).decode()}).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    try:
        return mutated_json(random, payload)
    except (ValueError, RecursionError):  # no longer JSON after an earlier mutation
        return payload[: random.randint(0, len(payload))]
