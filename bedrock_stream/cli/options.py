"""Arguments and options that several commands share."""

from __future__ import annotations

import math
from typing import Annotated, TypeAlias

import typer

__all__ = (
    "Api",
    "AsJson",
    "Documents",
    "Endpoint",
    "EndpointUrl",
    "Images",
    "MaxTokens",
    "Model",
    "Port",
    "Profile",
    "Prompt",
    "Region",
    "Schema",
    "Seconds",
    "Stop",
    "System",
    "Temperature",
    "TopP",
)


def _seconds(value: float) -> float:
    if not 0 <= value < math.inf:
        raise typer.BadParameter(f"expected a number of seconds, 0 or more, got {value}")
    return value


Model: TypeAlias = Annotated[str, typer.Argument(metavar="MODEL", help="Model id, inference profile or ARN.")]
Prompt: TypeAlias = Annotated[str, typer.Argument(metavar="PROMPT", help="The prompt, or - to read it from stdin.")]

System: TypeAlias = Annotated[str | None, typer.Option(help="System prompt.")]
MaxTokens: TypeAlias = Annotated[int | None, typer.Option(help="Maximum number of output tokens.")]
Temperature: TypeAlias = Annotated[float | None, typer.Option(help="Randomness, from 0 to 1.")]
TopP: TypeAlias = Annotated[float | None, typer.Option(help="Sample from this share of the likeliest tokens, 0 to 1.")]
Stop: TypeAlias = Annotated[
    list[str] | None, typer.Option("--stop", metavar="TEXT", help="Text that ends the response; repeatable.")
]
Schema: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="FILE|JSON", help="JSON Schema; the parsed answer is printed, and must match it."),
]
Images: TypeAlias = Annotated[
    list[str] | None, typer.Option("--image", metavar="FILE", help="Image to send along; repeatable.")
]
Documents: TypeAlias = Annotated[
    list[str] | None, typer.Option("--document", metavar="FILE", help="Document to send along; repeatable.")
]

Api: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="API", help="converse, invoke, messages, chat or responses; default: by the model."),
]
Endpoint: TypeAlias = Annotated[
    str | None, typer.Option(metavar="ENDPOINT", help="runtime or mantle; default: by the model and the API.")
]
Region: TypeAlias = Annotated[str | None, typer.Option(help="AWS region.")]
Profile: TypeAlias = Annotated[str | None, typer.Option(help="Profile of the shared AWS files.")]
EndpointUrl: TypeAlias = Annotated[str | None, typer.Option(help="URL to use instead of the region's endpoint.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, one object on a line.")]
Port: TypeAlias = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")]
Seconds: TypeAlias = Annotated[float, typer.Option(callback=_seconds, help="Seconds between deltas.")]
