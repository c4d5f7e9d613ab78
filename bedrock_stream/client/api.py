"""The process's shared client, and `stream` and `generate`, which use it.

A module of its own, because a program that says `from bedrock_stream import stream` is not to wait for aiohttp: the
client is imported and made at the first call. Where that call must not wait either, make a `Client` beforehand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Unpack

    from ..types.messages import Prompt
    from ..types.options import CallOptions
    from ..types.response import Response
    from .client import Client
    from .stream import Stream

__all__ = ("generate", "stream")

_made: Client | None = None


def stream(model: str, prompt: Prompt, **options: Unpack[CallOptions]) -> Stream:
    """Stream an answer with the process's shared client, set up by the environment. See `Client.stream`."""
    return _client().stream(model, prompt, **options)


async def generate(model: str, prompt: Prompt, **options: Unpack[CallOptions]) -> Response:
    """The whole answer at once with the process's shared client. See `Client.generate`."""
    return await _client().generate(model, prompt, **options)


def _client() -> Client:
    global _made
    if _made is None:
        from .client import Client

        _made = Client()
    return _made
