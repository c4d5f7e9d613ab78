"""`bedrock-stream explain`: show what `ask` would send, where and why. Nothing is sent, and secrets are masked."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
from rich.text import Text

from ..client.client import Client
from ..client.reports import Explanation
from .ask import Question
from .terminal import make_console, one_line

__all__ = ("explain",)

_MAX_TEXT = 300  # characters of a str in the body; attachments are long


async def explain(question: Question, *, as_json: bool) -> None:
    """Print the explanation of a call: one line of JSON, or lines of text. Raises `ConfigurationError`."""
    async with Client(region=question.region, profile=question.profile, endpoint_url=question.endpoint_url) as client:
        explanation = client.explain(question.model, question.prompt, **question.options)
    if as_json:
        print(msgspec.json.encode(explanation).decode())
        return
    make_console(sys.stdout).print(_rendered(explanation), soft_wrap=True)


def _rendered(explanation: Explanation) -> Text:
    source = "the region" if explanation.endpoint_source == "region" else explanation.endpoint_source
    lines = {
        "model": f"{explanation.model} ({explanation.family or 'unknown family'})",
        "route": f"{explanation.route}: {explanation.reason}",
        "region": explanation.region,
        "request": f"{explanation.method} {explanation.url}",
        "endpoint": f"from {source}",
        "auth": explanation.auth,
    }
    text = Text()
    for name, value in lines.items():
        text.append(f"{name:<10}", "bold").append(f"{one_line(value)}\n")
    for change in explanation.changes:
        text.append(f"{'changed':<10}", "bold yellow").append(f"{one_line(change)}\n")
    for name, value in explanation.headers.items():
        text.append(f"{'header':<10}", "bold").append(f"{name}: {one_line(value)}\n")
    body = msgspec.json.format(msgspec.json.encode(_shortened(explanation.body))).decode()
    return text.append("body\n", "bold").append(body)


def _shortened(value: Any) -> Any:
    """Return a JSON value in which long strings are cut."""
    if isinstance(value, str):
        return value if len(value) <= _MAX_TEXT else f"{value[:60]}... ({len(value)} characters; --json shows all)"
    if isinstance(value, dict):
        return {name: _shortened(member) for name, member in value.items()}
    return [_shortened(item) for item in value] if isinstance(value, list) else value
