"""`bedrock-stream ask`: one question to one model, streamed onto a page."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack

import msgspec

from ..client.client import Client
from ..errors import ConfigurationError
from ..types.options import CallOptions
from .printing import JsonPage, Page, TextPage

__all__ = ("Question", "ask", "read_question")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask, and whom."""

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
    """The question of a command line. Raises `ConfigurationError`."""
    if emulator and endpoint_url is not None:
        raise ConfigurationError("endpoint_url", "it excludes --emulator", "drop one of them")
    options: CallOptions = {}
    if system is not None:
        options["system"] = _utf8("system", system)
    if max_tokens is not None:
        options["max_tokens"] = max_tokens
    said = _read_stdin() if prompt == "-" else _utf8("prompt", prompt)
    return Question(
        model=model, prompt=said, options=options, emulator=emulator, region=region, endpoint_url=endpoint_url
    )


def _utf8(name: str, text: str) -> str:
    """Bytes of the command line that are no UTF-8 arrive as lone surrogates, which JSON cannot carry."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ConfigurationError(name, "it is not UTF-8")
    return text


def _read_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ConfigurationError("prompt", f"stdin is not UTF-8: {error.reason} at byte {error.start}") from None


async def ask(question: Question, *, as_json: bool, verbose: bool) -> None:
    """Stream the answer. Raises what the stream raises."""
    page: Page = JsonPage(verbose=verbose) if as_json else TextPage(verbose=verbose)
    async with AsyncExitStack() as stack:
        client = await _client(question, stack)
        stream = await stack.enter_async_context(client.stream(question.model, question.prompt, **question.options))
        try:
            async for event in stream:
                page.show(event)
            page.summarize(stream.request_id)
        finally:
            page.close()


async def _client(question: Question, stack: AsyncExitStack) -> Client:
    if not question.emulator:
        made = Client(region=question.region, endpoint_url=question.endpoint_url)
        return await stack.enter_async_context(made)
    from .emulator import local_bedrock

    _, client = await stack.enter_async_context(local_bedrock(region=question.region))
    return client
