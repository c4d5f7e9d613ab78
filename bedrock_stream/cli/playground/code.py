"""A question of the page as a program and as the request that it sends, both without secrets."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import getsource
from typing import Any

import msgspec

from ...client.reports import Explanation
from ...types.messages import Message, Text
from .backend import Backend
from .literals import WIDTH, indented, literal, quoted
from .question import MAX_ROUNDS, Question, call_options, with_tools
from .tools import FUNCTIONS

__all__ = ("CodeView", "show_code")

_TOOL_IMPORTS = """\
from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError
"""


class CodeView(msgspec.Struct, frozen=True):
    """What reproduces a response."""

    python: str
    request: dict[str, Any]
    """The first request: method, address, headers and body."""


def show_code(backend: Backend, question: Question) -> CodeView:
    """Return the code of a question. Sends nothing. Raises `ConfigurationError`, as the question itself would."""
    explanation = backend.client.explain(question.model, question.messages, **with_tools(question))
    return CodeView(_program(backend, question), _request(explanation))


def _request(explanation: Explanation) -> dict[str, Any]:
    return {
        "method": explanation.method,
        "url": explanation.url,
        "headers": explanation.headers,
        "body": explanation.body,
    }


def _program(backend: Backend, question: Question) -> str:
    names: set[str] = set()
    messages = literal([_plain(message) for message in question.messages], names)
    local = backend.endpoint_url is not None
    imports = ["import asyncio\n"]
    if question.tools:
        imports.append(_TOOL_IMPORTS)
    imports.append(f"\nfrom bedrock_stream import {', '.join(sorted({'Client', *names}))}\n")
    if local:
        imports.append("from bedrock_stream.testing import API_KEY\n")
    sources = [f"\n\n{getsource(function)}" for function in FUNCTIONS] if question.tools else []
    head = f"MODEL = {quoted(question.model)}\nMESSAGES = {messages}\n"
    return f"{''.join(imports)}{''.join(sources)}\n\n{head}\n\n{_main(backend, question)}\n\nasyncio.run(main())\n"


def _main(backend: Backend, question: Question) -> str:
    arguments = [f'region="{backend.region}"']
    note = "Credentials come from the environment."
    if backend.endpoint_url is not None:
        note = "The playground's emulator, while it runs. For AWS, leave out endpoint_url and api_key."
        arguments += [f'endpoint_url="{backend.endpoint_url}"', "api_key=API_KEY"]
    options = [f"{name}={literal(value, set(), 12)}" for name, value in call_options(question).items()]
    method = "stream"
    if question.tools:
        method, functions = "run_tools", ", ".join(function.__name__ for function in FUNCTIONS)
        options += [f"tools=[{functions}]", f"max_rounds={MAX_ROUNDS}"]
    if question.output_schema is not None:
        loop = ["async for snapshot in answer.parsed_stream:", "    print(snapshot.value)"]
    else:
        loop = ["async for text in answer.text_stream:", '    print(text, end="", flush=True)']
    return "\n".join(
        [
            "async def main() -> None:",
            f"    # {note}",
            f"    async with Client({', '.join(arguments)}) as client:",
            f"        async with client.{method}({_arguments(['MODEL', 'MESSAGES', *options])}) as answer:",
            *(f"            {line}" for line in loop),
        ]
    )


def _arguments(items: Sequence[str]) -> str:
    flat = ", ".join(items)
    if len(flat) <= WIDTH - 50 and "\n" not in flat:
        return flat
    return indented(items, 8)


def _plain(message: Message) -> Any:
    """Return a message of plain text as the dict that people write."""
    content = message.content
    if len(content) == 1 and isinstance(content[0], Text) and content[0] == Text(content[0].text):
        return {"role": message.role, "content": content[0].text}
    return message
