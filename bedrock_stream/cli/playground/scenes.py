"""Scripted answers of the emulator for the page, including faults.

A scene is chosen by the prompt of a starter. Any other prompt gets the emulator's default answer, which calls a tool
only if the prompt asks for what the tool does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from .tools import TOOLS

if TYPE_CHECKING:
    from ...testing import ReceivedRequest, Step

__all__ = ("STARTERS", "Starter", "play_scene")


class Starter(msgspec.Struct, frozen=True):
    """A suggested prompt of the empty page."""

    title: str
    about: str
    prompt: str


STARTERS = (
    Starter("Call a tool", "The input arrives in fragments", "What is the weather in Oslo? Do I need an umbrella?"),
    Starter("Write Markdown", "Headings, lists, code, a table", "Explain the AWS event stream format in Markdown."),
    Starter("Return HTML", "A response that contains HTML tags", "Answer with a script tag and an image tag."),
    Starter("Damage a frame", "A bit is flipped in transit", "Flip a bit in one of your frames."),
    Starter("Cut off the response", "The body ends too early", "Stop in the middle of your answer."),
    Starter("Throttle the request", "An error before the stream", "Throttle this request."),
)

MARKDOWN = """\
## The AWS event stream

Bedrock streams **binary frames** over HTTP. Each frame has *headers*, a payload and two checksums:

| part | bytes | content |
|---|---:|---|
| prelude | 8 | total length, headers length |
| prelude CRC | 4 | checksum of the prelude |
| headers | varies | names, types, values |
| payload | varies | usually JSON |
| message CRC | 4 | checksum of everything before it |

To read a frame:

1. Read twelve bytes and check the `prelude CRC`.
2. Wait for the rest:
   - headers first,
   - then the payload.
3. Check the *message CRC* before using the data.

```python
async with stream(model, "Hello") as response:
    async for text in response.text_stream:
        print(text, end="", flush=True)
```

> Data is not used before its checksum has been verified.

For details, see [the Smithy specification](https://smithy.io/2.0/aws/amazon-eventstream.html).
"""

MARKUP = (
    "These tags are shown as text:\n\n"
    "<script>document.title = 'taken over'</script>\n\n"
    "<img src=x onerror=\"document.title = 'taken over'\">\n\n"
    "A [javascript: link](javascript:alert(1)) is shown as text, a [web link](https://example.com/) is a link."
)

INCOMPLETE = (
    "The connection is closed in the middle of this response. The page shows the text that was received, marks it as "
    "incomplete, and reports an error, because a response without its final events is never treated as"
)


_ASKS = re.compile(
    r"\b(weather|umbrella|forecast|what time|the time in|current time|time zone|what day|get_weather|get_time)\b",
    re.IGNORECASE,
)


def play_scene(request: ReceivedRequest) -> Sequence[Step] | None:
    """Return the steps for a request of the page; None for the emulator's default answer."""
    body = request.json if isinstance(request.json, dict) else {}
    if results := _tool_results(body):
        return _after_weather(results[-1])
    prompt = _last_text(body)
    scene = next((scene for phrase, scene in _SCENES.items() if phrase in prompt.lower()), None)
    if scene is not None:
        return scene()
    return _without_tools(body, prompt, request.model) if _offers_tools(body) and not _ASKS.search(prompt) else None


def _offers_tools(body: dict[str, Any]) -> bool:
    """Return whether a request has the page's tools, and not only the tool that a structured output is."""
    offered = str(body.get("toolConfig") or body.get("tools") or "")
    return any(tool.name in offered for tool in TOOLS)


def _without_tools(body: dict[str, Any], prompt: str, model: str | None) -> Sequence[Step]:
    """Return the emulator's default answer to the prompt without tools, one of which any common word would call."""
    from ...testing.answers.answering import answer

    asked: dict[str, Any] = {
        name: body[name] for name in ("inferenceConfig", "additionalModelRequestFields") if name in body
    }
    return answer({**asked, "messages": [{"role": "user", "content": [{"text": prompt}]}]}, model or "the model")


def _after_weather(weather: Any) -> Sequence[Step] | None:
    from ...testing import text

    if not isinstance(weather, dict) or "sky" not in weather:
        return None
    wet = any(word in weather["sky"] for word in ("rain", "snow"))
    advice = "Yes, take an umbrella." if wet else "No, you do not need an umbrella."
    return [text(f"It is **{weather['temperature']} degrees** in {weather['city']}, with {weather['sky']}. {advice}")]


def _markdown() -> Sequence[Step]:
    from ...testing import text

    return [text(MARKDOWN)]


def _markup() -> Sequence[Step]:
    from ...testing import text

    return [text(MARKUP)]


def _flipped() -> Sequence[Step]:
    from ...testing import flip_bit, text

    return [
        text("The frame after this sentence is damaged in transit. "),
        flip_bit(-40),  # inside the payload, so only the message checksum is wrong
        text("This text is never shown.", joined=True),
    ]


def _cut() -> Sequence[Step]:
    from ...testing import cut, text

    return [text(INCOMPLETE), cut(inside=60)]


def _throttled() -> Sequence[Step]:
    from ...testing import http_error

    return [http_error(429, "ThrottlingException", "Too many tokens, please wait before trying again.")]


_SCENES: dict[str, Callable[[], Sequence[Step]]] = {
    "event stream format in markdown": _markdown,
    "script tag and an image tag": _markup,
    "flip a bit": _flipped,
    "stop in the middle": _cut,
    "throttle this request": _throttled,
}


def _last_content(body: dict[str, Any]) -> Any:
    messages = body.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        return messages[-1].get("content")
    return body.get("prompt")  # Llama's native request body has no messages


def _last_text(body: dict[str, Any]) -> str:
    """Return the text of the last message, of a Converse or a native request body."""
    content = _last_content(body)
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return " ".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict))


def _tool_results(body: dict[str, Any]) -> list[Any]:
    """Return the tools' results in the last message, if any. Requests with tools use Converse."""
    content = _last_content(body)
    blocks = content if isinstance(content, list) else []
    results = [block["toolResult"] for block in blocks if isinstance(block, dict) and "toolResult" in block]
    return [item.get("json") for result in results for item in result.get("content", ())]
