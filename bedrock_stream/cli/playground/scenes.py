"""What the emulator's model says to the page: a few scenes that show what a stream can do, faults included.

A scene is chosen by the words of the prompt that the page offers as a starter. Whatever else is said gets the
emulator's own answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from ...testing import ReceivedRequest, Step

__all__ = ("STARTERS", "Starter", "play_scene")


class Starter(msgspec.Struct, frozen=True):
    """A prompt that the empty page offers."""

    title: str
    about: str
    prompt: str


STARTERS = (
    Starter("Call a tool", "Input streams in as fragments", "What is the weather in Oslo? Do I need an umbrella?"),
    Starter("Write markdown", "Headings, lists, code, a table", "Explain the AWS event stream format in markdown."),
    Starter("Send markup", "A model that answers with HTML", "Answer with a script tag and an image tag."),
    Starter("Damage a frame", "One bit flips on the way", "Flip a bit in one of your frames."),
    Starter("Cut the answer", "The body ends too early", "Break off in the middle of your answer."),
    Starter("Refuse", "A throttled request", "Throttle me."),
)

MARKDOWN = """\
## The AWS event stream

Bedrock streams **binary frames** over plain HTTP. Each one carries *headers*, a payload and two checksums:

| part | bytes | what it is |
|---|---:|---|
| prelude | 8 | total length, headers length |
| prelude CRC | 4 | guards the lengths |
| headers | varies | names, types, values |
| payload | varies | usually JSON |
| message CRC | 4 | guards everything before it |

Reading one takes three steps:

1. Read twelve bytes and check the `prelude CRC`.
2. Wait for the rest:
   - headers first,
   - then the payload.
3. Check the *message CRC*, and only then believe it.

```python
async with stream(model, "Hello") as answer:
    async for text in answer.text_stream:
        print(text, end="", flush=True)
```

> Nothing is believed before its checksum.

More is written down in [the Smithy specification](https://smithy.io/2.0/aws/amazon-eventstream.html).
"""

MARKUP = (
    "Here is what you asked for, and it stays text:\n\n"
    "<script>document.title = 'taken over'</script>\n\n"
    "<img src=x onerror=\"document.title = 'taken over'\">\n\n"
    "A [link with a script](javascript:alert(1)) is no link, and [one to a page](https://example.com/) is."
)

LONG = (
    "Once the first half of this sentence has arrived, the connection ends, and what came so far is shown as what it "
    "is: the beginning of an answer that never"
)


def play_scene(request: ReceivedRequest) -> Sequence[Step] | None:
    """The steps for a request of the page; None for the emulator's own answer."""
    body = request.json if isinstance(request.json, dict) else {}
    if results := _tool_results(body):
        return _after_weather(results[-1])
    said = _last_words(body).lower()
    return next((scene() for words, scene in _SCENES.items() if words in said), None)


def _after_weather(weather: Any) -> Sequence[Step] | None:
    from ...testing import text

    if not isinstance(weather, dict) or "sky" not in weather:
        return None
    wet = any(word in weather["sky"] for word in ("rain", "snow"))
    advice = "Yes, take one, or be back while it is still dry." if wet else "No, you can leave it at home."
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
        text("The frame behind this sentence is damaged on its way. "),
        flip_bit(-40),
        text("You will not see these words.", joined=True),
    ]


def _cut() -> Sequence[Step]:
    from ...testing import cut, text

    return [text(LONG), cut(inside=60)]


def _throttled() -> Sequence[Step]:
    from ...testing import http_error

    return [http_error(429, "ThrottlingException", "Too many tokens, please wait before trying again.")]


_SCENES: dict[str, Callable[[], Sequence[Step]]] = {
    "event stream format in markdown": _markdown,
    "script tag and an image tag": _markup,
    "flip a bit": _flipped,
    "break off in the middle": _cut,
    "throttle me": _throttled,
}


def _last_content(body: dict[str, Any]) -> Any:
    messages = body.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        return messages[-1].get("content")
    return body.get("prompt")  # Llama's own form


def _last_words(body: dict[str, Any]) -> str:
    """The text of the last message, whatever the form of the body."""
    content = _last_content(body)
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return " ".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict))


def _tool_results(body: dict[str, Any]) -> list[Any]:
    """What the tools returned, where the last message is their results."""
    content = _last_content(body)
    blocks = content if isinstance(content, list) else []
    results = [block["toolResult"] for block in blocks if isinstance(block, dict) and "toolResult" in block]
    return [item.get("json") for result in results for item in result.get("content", ())]
