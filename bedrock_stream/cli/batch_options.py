"""Arguments and options of `batch`."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

__all__ = (
    "Check",
    "Concurrency",
    "DryRun",
    "Force",
    "Format",
    "InvocationType",
    "JsonLines",
    "MaxCost",
    "MaxFailures",
    "MaxOutputTokens",
    "Model",
    "NoInput",
    "Ordered",
    "Out",
    "Patience",
    "Prices",
    "Redis",
    "RetryFailed",
    "Rpm",
    "Source",
    "Stream",
    "Tpm",
)

_RUN, _LIMITS = "How it runs", "Limits"

Source: TypeAlias = Annotated[
    str, typer.Argument(metavar="IN", help="File of JSON lines, also compressed (.gz), or - for stdin.")
]
Out: TypeAlias = Annotated[str, typer.Argument(metavar="OUT", help="File to write; it appears once it is complete.")]
Model: TypeAlias = Annotated[
    str | None, typer.Option(metavar="MODEL", help="Model id, for all lines. Default: the line's own.")
]
Format: TypeAlias = Annotated[
    str, typer.Option(metavar="FORMAT", help="Format of the lines: auto, bedrock, openai or prompts.")
]
InvocationType: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="TYPE", help="What modelInput is, if both fit: InvokeModel (the model's own) or Converse."),
]
Concurrency: TypeAlias = Annotated[
    int, typer.Option(help="Most requests at once; how many of them is learned.", rich_help_panel=_RUN)
]
Ordered: TypeAlias = Annotated[
    bool, typer.Option("--ordered", help="Keep the order of IN. Default: as they end.", rich_help_panel=_RUN)
]
Stream: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--stream/--whole",
        help="Stream the answers, or receive them at once. Default: stream long ones.",
        rich_help_panel=_RUN,
    ),
]
RetryFailed: TypeAlias = Annotated[
    bool, typer.Option("--retry-failed", help="Ask rows again that failed in an earlier run.", rich_help_panel=_RUN)
]
Dedupe: TypeAlias = Annotated[
    bool, typer.Option("--dedupe", help="Ask equal rows once, whatever their ids.", rich_help_panel=_RUN)
]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.", rich_help_panel=_RUN)]
NoInput: TypeAlias = Annotated[
    bool, typer.Option("--no-input", help="Leave modelInput out of OUT.", rich_help_panel=_RUN)
]
JsonLines: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print the progress as JSON on stdout, a line a second.", rich_help_panel=_RUN)
]
Check: TypeAlias = Annotated[
    bool, typer.Option("--check", help="Read IN, count its tokens and name bad lines. Sends nothing.")
]
DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Show the first request. Sends nothing.")]
Rpm: TypeAlias = Annotated[
    float | None, typer.Option(help="Requests a minute that may be sent.", rich_help_panel=_LIMITS)
]
Tpm: TypeAlias = Annotated[
    float | None, typer.Option(help="Tokens a minute, as Bedrock counts them.", rich_help_panel=_LIMITS)
]
Redis: TypeAlias = Annotated[
    str | None, typer.Option(metavar="URL", help="Share --rpm and --tpm with others.", rich_help_panel=_LIMITS)
]
MaxCost: TypeAlias = Annotated[
    float | None, typer.Option(help="Stop once the rows of this run have cost so much.", rich_help_panel=_LIMITS)
]
Prices: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help='JSON: {"MODEL": {"input": 3, "output": 15}} a million tokens.', rich_help_panel=_LIMITS
    ),
]
MaxOutputTokens: TypeAlias = Annotated[
    int | None, typer.Option(help="Stop after so many output tokens in this run.", rich_help_panel=_LIMITS)
]
MaxFailures: TypeAlias = Annotated[
    int | None, typer.Option(help="Stop once so many rows have failed in this run.", rich_help_panel=_LIMITS)
]
Patience: TypeAlias = Annotated[
    float, typer.Option(help="Seconds of nothing but throttling after which it stops.", rich_help_panel=_LIMITS)
]
