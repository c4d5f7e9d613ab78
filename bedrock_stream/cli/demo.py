"""`bedrock-stream demo`: the library's main job, live: a question, a streamed tool call, its result, the answer.

An emulator in this process plays Amazon Bedrock. Its words are scripted; everything between is real: the request is
signed, travels over HTTP, and comes back as binary frames that are checked and decoded one by one.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Annotated, Any, Literal

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..client.client import Client
from ..testing import ReceivedRequest, reasoning, text, tool_call
from ..types.events import BlockStop, Event, ReasoningDelta, TextDelta, ToolCallDelta, ToolCallEnd, ToolCallStart
from ..types.messages import Message, ToolCall, ToolResult
from ..types.response import Response
from .emulator import local_bedrock
from .meter import Pulse
from .terminal import Cleaner, make_console

__all__ = ("demo",)

_MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
_QUESTION = "I am about to walk along the harbour in Oslo. Do I need an umbrella?"


def get_weather(
    city: Annotated[str, "The city's name"], units: Literal["celsius", "fahrenheit"] = "celsius"
) -> dict[str, Any]:
    """Tell the weather of a city for the next hours."""
    return {"city": city, "temperature": 11 if units == "celsius" else 52, "sky": "rain from four"}


def _model(request: ReceivedRequest) -> Any:
    """What the emulator's model says: first it calls the tool, then it answers from whatever the tool returned."""
    last = request.json["messages"][-1]["content"]
    results = [block["toolResult"]["content"][0]["json"] for block in last if "toolResult" in block]
    if not results:
        return [
            reasoning(
                "The weather decides this, and I should not guess it. There is a tool for it: "
                "the city is Oslo, and in Norway people think in degrees Celsius."
            ),
            text("Let me look at the sky over Oslo first."),
            tool_call("get_weather", {"city": "Oslo", "units": "celsius"}),
        ]
    (weather,) = results
    return text(
        f"Yes, take one. It is {weather['temperature']} degrees in {weather['city']} now, with {weather['sky']}. "
        "If you leave soon and walk towards the opera, you can be there while it is still dry, "
        "and the roof is a fine place to watch the clouds come in."
    )


async def demo(pace: float) -> None:
    """Run the demo on stdout."""
    console = make_console(sys.stdout)
    async with local_bedrock(pace=pace, script=_model) as (emulator, client):
        console.print(_introduction(emulator.url))
        _print_row(console, "you", Text(_QUESTION, "bold"))
        history = [Message.user(_QUESTION)]
        first, asked = await _turn(client, history, console)
        results = [_run_tool(call, console) for call in first.tool_calls]
        _, answered = await _turn(client, [*history, first.message, Message.user(*results)], console)
    console.print(_measures({"the tool call": asked, "the answer": answered}))
    console.print(_way_out())


async def _turn(client: Client, history: list[Message], console: Console) -> tuple[Response, Pulse]:
    """Stream one answer onto the screen."""
    pulse = Pulse()
    async with client.stream(_MODEL, history, tools=[get_weather]) as stream:
        with _Screen(console) as screen:
            async for event in stream:
                pulse.see(event)
                screen.show(event)
        return await stream.response(), pulse


def _run_tool(call: ToolCall, console: Console) -> ToolResult:
    """Run the function that the model called, here."""
    result = get_weather(**call.input)
    shown = Text(f"{call.name}({', '.join(f'{name}={value!r}' for name, value in call.input.items())})")
    shown.append("\n").append(msgspec.json.format(msgspec.json.encode(result), indent=0).decode(), "green")
    _print_row(console, "ran here", shown)
    return ToolResult(call.id, result)


# ----------------------------------------------------------------------------------------------------------- the screen


class _Screen:
    """One block at a time: redrawn on a terminal as it grows, printed elsewhere when it is whole.

    Leaving it gives the cursor back, whatever the reason.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._animated = console.is_terminal and not console.is_dumb_terminal
        self._cleaner = Cleaner()
        self._live: Live | None = None
        self._label = ""
        self._text = Text()
        self._fragments = 0

    def __enter__(self) -> _Screen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def show(self, event: Event) -> None:
        """The next event of the answer."""
        match event:
            case ReasoningDelta(text=str(said)):
                self._add("thinks", said, "dim italic")
            case TextDelta():
                self._add("says", event.text, "")
            case ToolCallStart():
                self._fragments = 0
                self._add("calls", f"{event.name} ", "bold magenta")
            case ToolCallDelta():
                # Alternating shades show where one fragment ends and the next begins.
                self._add("calls", event.input_json, ("magenta", "bright_magenta")[self._fragments % 2])
                self._fragments += 1
            case ToolCallEnd():
                self._add("calls", f"  in {self._fragments} fragments", "dim")
            case BlockStop():
                self._close()

    def _add(self, label: str, said: str, style: str) -> None:
        self._label = label
        self._text.append(self._cleaner.feed(said), style)
        if self._animated:
            if self._live is None:
                self._live = Live(console=self._console, auto_refresh=False)
                self._live.start()
            self._live.update(_row(label, self._text), refresh=True)

    def _close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        elif self._text:
            _print_row(self._console, self._label, self._text)
        self._text = Text()


def _row(label: str, content: RenderableType) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=10, justify="right", style="cyan")
    grid.add_column(max_width=76)
    grid.add_row(label, content)
    return Padding(grid, (0, 0, 1, 0), expand=False)


def _print_row(console: Console, label: str, content: RenderableType) -> None:
    console.print(_row(label, content))


def _introduction(url: str) -> RenderableType:
    title = Text("bedrock-stream", "bold").append("  streams from a local emulator of Amazon Bedrock", "not bold")
    about = Text(f"{url} plays the service. Its words are scripted;\n", "dim")
    about.append("signing, HTTP, binary frames and decoding are real.")
    return Padding(Group(title, about), (1, 0, 1, 2), expand=False)


def _measures(turns: dict[str, Pulse]) -> RenderableType:
    table = Table(box=None, padding=(0, 2), header_style="dim", pad_edge=False)
    table.add_column("usage", style="cyan")
    for name in ("tokens in", "tokens out", "first token", "tokens/s"):
        table.add_column(name, justify="right")
    for name, pulse in turns.items():
        first, rate = pulse.first_content, pulse.tokens_per_second
        table.add_row(
            name,
            str(pulse.usage.input_tokens),
            str(pulse.usage.output_tokens),
            "-" if first is None else f"{first * 1000:.0f} ms",
            "-" if rate is None else f"{rate:,.0f}",
        )
    return Padding(table, (0, 0, 1, 2), expand=False)


def _way_out() -> RenderableType:
    lines = Text("Everything above ran on the local emulator. To reach AWS, set\n")
    lines.append("  AWS_BEARER_TOKEN_BEDROCK", "cyan").append("  or  ")
    lines.append("AWS_ACCESS_KEY_ID", "cyan").append(" and ").append("AWS_SECRET_ACCESS_KEY\n", "cyan")
    lines.append("  AWS_REGION", "cyan").append("                where your models are, such as us-east-1\n")
    lines.append("and ask:\n")
    lines.append(f'  bedrock-stream ask {_MODEL} "Hello"', "bold")
    return Padding(lines, (0, 0, 1, 2), expand=False)
