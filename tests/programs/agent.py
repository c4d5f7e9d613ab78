"""An agent in a terminal: it shows its answer as it comes, and asks before it deletes anything."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from bedrock_stream import Client, Message, ToolCall, ToolRunEvent, Usage

MODEL = "amazon.nova-lite-v1:0"
HARMLESS = {"list_files"}


class Agent:
    """A conversation about some files. `confirm` asks the user a question and returns the answer."""

    def __init__(self, client: Client, files: set[str], out: TextIO, confirm: Callable[[str], str]) -> None:
        self._client = client
        self._files = files
        self._out = out
        self._confirm = confirm
        self.messages: tuple[Message, ...] = ()
        self.usage: Usage | None = None

    def list_files(self) -> list[str]:
        """List all files."""
        return sorted(self._files)

    def delete(self, name: str) -> str:
        """Delete a file."""
        self._files.remove(name)
        return f"{name} is deleted."

    def approve(self, call: ToolCall) -> bool | str:
        """Return True to run a call, or what the model is told in place of its result."""
        if call.name in HARMLESS:
            return True
        answer = self._confirm(f"{call.name}({', '.join(f'{key}={value!r}' for key, value in call.input.items())})?")
        return True if answer == "yes" else f"The user did not allow this: {answer}"

    def show(self, event: ToolRunEvent) -> None:
        match event.type:
            case "text_delta":
                self._out.write(event.text)
            case "tool_call_start":
                self._out.write(f"\n[{event.name}")
            case "tool_result":
                self._out.write(f": {event.status}]\n")
            case "message_stop" if event.stop_reason == "max_tokens":
                self._out.write(" [cut]")
            case _:
                pass

    async def ask(self, question: str) -> str:
        """Answer a question, with as many calls as that takes, and return the text of the last answer."""
        prompt = [*self.messages, Message.user(question)]
        async with self._client.run_tools(
            MODEL, prompt, tools=[self.list_files, self.delete], before_call=self.approve, max_rounds=5
        ) as run:
            async for event in run:
                self.show(event)
            response = await run.response()
        self.messages, self.usage = run.messages, run.usage
        return response.text
