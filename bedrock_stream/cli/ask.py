"""`bedrock-stream ask`: send one prompt to a model and stream the response."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack

import msgspec

from ..client.client import Client
from ..errors import ConfigurationError
from ..types.options import CallOptions
from .printing import JsonPrinter, Printer, TextPrinter

__all__ = ("Question", "ask", "read_question")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt with its options and destination."""

    model: str
    prompt: str
    options: CallOptions
    emulator: bool
    region: str | None
    endpoint_url: str | None


def read_question(
    model: str,
    prompt: str,
    *,
    system: str | None = None,
    max_tokens: int | None = None,
    emulator: bool = False,
    region: str | None = None,
    endpoint_url: str | None = None,
) -> Question:
    """Build the question from command-line arguments; a prompt of `-` is read from stdin.

    Raises `ConfigurationError` for text that is not UTF-8 and for conflicting options.
    """
    if emulator and endpoint_url is not None:
        raise ConfigurationError("endpoint_url", "cannot be combined with --emulator", "remove one of them")
    options: CallOptions = {}
    if system is not None:
        options["system"] = _utf8("system", system)
    if max_tokens is not None:
        options["max_tokens"] = max_tokens
    text = _read_stdin() if prompt == "-" else _utf8("prompt", prompt)
    return Question(
        model=model, prompt=text, options=options, emulator=emulator, region=region, endpoint_url=endpoint_url
    )


def _utf8(name: str, text: str) -> str:
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


async def ask(question: Question, *, as_json: bool, verbose: bool) -> None:
    """Stream the response to stdout. Raises the errors of the stream."""
    printer: Printer = JsonPrinter(verbose=verbose) if as_json else TextPrinter(verbose=verbose)
    async with AsyncExitStack() as stack:
        client = await _open_client(question, stack)
        stream = await stack.enter_async_context(client.stream(question.model, question.prompt, **question.options))
        try:
            async for event in stream:
                printer.show(event)
            printer.summarize(stream.request_id)
        finally:
            printer.close()


async def _open_client(question: Question, stack: AsyncExitStack) -> Client:
    if not question.emulator:
        client = Client(region=question.region, endpoint_url=question.endpoint_url)
        return await stack.enter_async_context(client)
    from .emulator import local_bedrock

    _, client = await stack.enter_async_context(local_bedrock(region=question.region))
    return client
