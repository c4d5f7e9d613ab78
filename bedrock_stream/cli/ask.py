"""`bedrock-stream ask`: send one prompt to a model and stream the response.

With a schema, stdout has the parsed value alone, and an answer that does not match the schema is a failure.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from ..client.client import Client
from ..errors import ConfigurationError
from ..types.messages import Message, Text
from ..types.options import CallOptions
from ..types.response import Response
from .exit_codes import FAILURE, print_error
from .files import read_attachments, read_schema
from .printing import JsonPrinter, Printer, SilentPrinter, TextPrinter, print_value
from .schema_match import first_mismatch

__all__ = ("Question", "ask", "read_question")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt with its options and destination."""

    model: str
    prompt: str | Message
    options: CallOptions
    emulator: bool = False
    region: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None


def read_question(
    model: str,
    prompt: str,
    *,
    images: Sequence[str] = (),
    documents: Sequence[str] = (),
    schema: str | None = None,
    emulator: bool = False,
    region: str | None = None,
    profile: str | None = None,
    endpoint_url: str | None = None,
    **options: Any,
) -> Question:
    """Build the question from command-line arguments; a prompt of `-` is read from stdin.

    `options` are the library's, None for those that were not given. Raises `ConfigurationError` for text that is not
    UTF-8, for files that cannot be read, and for conflicting options.
    """
    for name, value in (("endpoint_url", endpoint_url), ("profile", profile)):
        if emulator and value is not None:
            raise ConfigurationError(name, "cannot be combined with --emulator", "remove one of them")
    given = {name: value for name, value in options.items() if value not in (None, [], ())}
    if "system" in given:
        _check_utf8("system", given["system"])
    for sequence in given.get("stop_sequences", ()):
        _check_utf8("stop_sequences", sequence)
    if schema is not None:
        given["output_schema"] = read_schema(schema)
    text = _read_stdin() if prompt == "-" else _check_utf8("prompt", prompt)
    attachments = read_attachments(images, documents)
    return Question(
        model=model,
        prompt=Message.user(*attachments, Text(text)) if attachments and text else text,
        options=CallOptions(**given),  # type: ignore[typeddict-item]
        emulator=emulator,
        region=region,
        profile=profile,
        endpoint_url=endpoint_url,
    )


def _check_utf8(name: str, text: str) -> str:
    # Python decodes invalid bytes of the command line to lone surrogates, which JSON cannot represent.
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ConfigurationError(name, "is not valid UTF-8")
    return text


def _read_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        problem = f"stdin is not valid UTF-8: {error.reason} at byte {error.start}"
        raise ConfigurationError("prompt", problem) from None


async def ask(question: Question, *, as_json: bool, verbose: bool) -> int:
    """Stream the response to stdout and return the exit code. Raises the errors of the stream."""
    schema = question.options.get("output_schema")
    printer: Printer
    if as_json:
        printer = JsonPrinter(verbose=verbose)
    else:
        printer = TextPrinter(verbose=verbose) if schema is None else SilentPrinter(verbose=verbose)
    async with AsyncExitStack() as stack:
        client = await _open_client(question, stack)
        stream = await stack.enter_async_context(client.stream(question.model, question.prompt, **question.options))
        try:
            async for event in stream:
                printer.show(event)
            printer.summarize(stream.request_id)
        finally:
            printer.close()
        return 0 if schema is None else _show_value(await stream.response(), schema, shown=not as_json)


def _show_value(response: Response, schema: Any, *, shown: bool) -> int:
    """Print the parsed value and return the exit code. A value that does not match is not printed."""
    problem = response.parse_error or first_mismatch(response.parsed, schema)
    if problem is not None:
        return print_error(f"the answer does not match the schema: {problem}: {response.text!r:.500}", FAILURE)
    if shown:
        print_value(response.parsed)
    return 0


async def _open_client(question: Question, stack: AsyncExitStack) -> Client:
    if not question.emulator:
        client = Client(region=question.region, profile=question.profile, endpoint_url=question.endpoint_url)
        return await stack.enter_async_context(client)
    from .emulator import local_bedrock

    _, client = await stack.enter_async_context(local_bedrock(region=question.region))
    return client
