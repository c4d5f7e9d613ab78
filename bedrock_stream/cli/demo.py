"""`bedrock-stream demo`: a question, a streamed tool call, its result, and the final answer.

The service is an emulator in this process. Its answers are scripted. Everything else is real: requests are signed and
sent over HTTP, and the binary frames of the response are verified and decoded.
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
from .command import play_command
from .emulator import local_bedrock
from .meter import Meter
from .terminal import Cleaner, make_console

__all__ = ("demo",)

_MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
_DOCS = "https://github.com/bedrock-stream/bedrock-stream/blob/main/docs/index.md"
_QUESTION = "I am going for a walk along the harbour in Oslo. Do I need an umbrella?"


def get_weather(
    city: Annotated[str, "Name of the city"], units: Literal["celsius", "fahrenheit"] = "celsius"
) -> dict[str, Any]:
    """Get the weather of a city for the next hours."""
    return {"city": city, "temperature": 11 if units == "celsius" else 52, "sky": "rain from 4 pm"}


def _script(request: ReceivedRequest) -> Any:
    """Script the emulator's model: call the tool first, then answer from the tool's result."""
    last = request.json["messages"][-1]["content"]
    results = [block["toolResult"]["content"][0]["json"] for block in last if "toolResult" in block]
    if not results:
        return [
            reasoning(
                "The answer depends on the weather, so I should look it up instead of guessing. "
                "I can call get_weather. The city is Oslo, and Norway uses degrees Celsius."
            ),
            text("Let me check the weather in Oslo first."),
            tool_call("get_weather", {"city": "Oslo", "units": "celsius"}),
        ]
    (weather,) = results
    return text(
        f"Yes, take one. It is {weather['temperature']} degrees in {weather['city']} now, with {weather['sky']}. "
        "If you leave soon, you can walk to the opera house while it is still dry. "
        "Its roof is open to visitors and has a good view of the harbour."
    )


async def demo(pace: float) -> None:
    """Run the demo on stdout, with `pace` seconds between deltas."""
    console = make_console(sys.stdout)
    async with local_bedrock(pace=pace, script=_script) as (emulator, client):
        console.print(_introduction(emulator.url))
        _print_row(console, "you", Text(_QUESTION, "bold"))
        history = [Message.user(_QUESTION)]
        first, call_meter = await _stream_response(client, history, console)
        results = [_run_tool(call, console) for call in first.tool_calls]
        history += [first.message, Message.user(*results)]
        _, answer_meter = await _stream_response(client, history, console)
    console.print(_usage_table({"tool call": call_meter, "answer": answer_meter}))
    console.print(_next_steps(), soft_wrap=True)  # three lines, which can be copied


async def _stream_response(client: Client, history: list[Message], console: Console) -> tuple[Response, Meter]:
    meter = Meter()
    async with client.stream(_MODEL, history, tools=[get_weather]) as stream:
        with _Screen(console) as screen:
            async for event in stream:
                meter.record(event)
                screen.show(event)
        return await stream.response(), meter


def _run_tool(call: ToolCall, console: Console) -> ToolResult:
    result = get_weather(**call.input)
    shown = Text(f"{call.name}({', '.join(f'{name}={value!r}' for name, value in call.input.items())})")
    shown.append("\n").append(msgspec.json.format(msgspec.json.encode(result), indent=0).decode(), "green")
    _print_row(console, "tool result", shown)
    return ToolResult(call.id, result)


# ----------------------------------------------------------------------------------------------------------- the screen


class _Screen:
    """One content block at a time: redrawn on a terminal as it grows, otherwise printed when it is complete.

    Leaving the context restores the cursor.
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
        """Show the next event of the response."""
        match event:
            case ReasoningDelta(text=str(text)):
                self._add("reasoning", text, "dim italic")
            case TextDelta():
                self._add("assistant", event.text, "")
            case ToolCallStart():
                self._fragments = 0
                self._add("tool call", f"{event.name} ", "bold magenta")
            case ToolCallDelta():
                # Alternating shades show where one fragment of the input ends and the next begins.
                self._add("tool call", event.input_json, ("magenta", "bright_magenta")[self._fragments % 2])
                self._fragments += 1
            case ToolCallEnd():
                self._add("tool call", f"  in {self._fragments} fragments", "dim")
            case BlockStop():
                self._close()

    def _add(self, label: str, text: str, style: str) -> None:
        self._label = label
        self._text.append(self._cleaner.feed(text), style)
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
    grid.add_column(width=11, justify="right", style="cyan")
    grid.add_column(max_width=76)
    grid.add_row(label, content)
    return Padding(grid, (0, 0, 1, 0), expand=False)


def _print_row(console: Console, label: str, content: RenderableType) -> None:
    console.print(_row(label, content))


def _introduction(url: str) -> RenderableType:
    title = Text("bedrock-stream demo", "bold").append("  on a local emulator of Amazon Bedrock", "not bold")
    about = Text(f"The emulator runs at {url}. Its answers are scripted.\n", "dim")
    about.append("Request signing, HTTP, binary frames and decoding are real.")
    return Padding(Group(title, about), (1, 0, 1, 2), expand=False)


def _usage_table(meters: dict[str, Meter]) -> RenderableType:
    table = Table(box=None, padding=(0, 2), header_style="dim", pad_edge=False)
    table.add_column("usage", style="cyan")
    for name in ("input tokens", "output tokens", "first token", "tokens/s"):
        table.add_column(name, justify="right")
    for name, meter in meters.items():
        first, rate = meter.first_content, meter.tokens_per_second
        table.add_row(
            name,
            str(meter.usage.input_tokens),
            str(meter.usage.output_tokens),
            "-" if first is None else f"{first * 1000:.0f} ms",
            "-" if rate is None else f"{rate:,.0f}",
        )
    return Padding(table, (0, 0, 1, 2), expand=False)


def _next_steps() -> RenderableType:
    lines = {
        "On this machine": Text(play_command(), "bold"),
        "On Amazon Bedrock": Text.assemble(
            "set ", ("AWS_REGION", "cyan"), " and ", ("AWS_BEARER_TOKEN_BEDROCK", "cyan"), ", or ",
            ("AWS_ACCESS_KEY_ID", "cyan"), " and ", ("AWS_SECRET_ACCESS_KEY", "cyan"),
        ),
        "Documentation": Text(_DOCS),
    }  # fmt: skip
    return Text("\n").join(Text(f"{name:<19}", "dim").append_text(line) for name, line in lines.items())
