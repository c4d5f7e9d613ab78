"""The commands and their options. What a command needs is imported when it runs, so that `--help` is quick."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import Annotated

import typer

from .._version import __version__
from .exit_codes import MISUSED, complain, outcome, run

__all__ = ("app", "invoke")

app: typer.Typer = typer.Typer(
    name="bedrock-stream",
    help="Stream from Amazon Bedrock, or from a local emulator of it.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def invoke(arguments: list[str]) -> int:
    """Run one command line and return its exit code. What typer refuses becomes one line."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a locale that lacks a character must not end an answer
    try:
        code = app(arguments or ["--help"], prog_name="bedrock-stream", standalone_mode=False)
    except typer.Abort:
        return outcome(_interrupt)
    except Exception as error:
        # typer's own errors share no public base across its versions, but they all know their sentence.
        sentence: Callable[[], str] | None = getattr(error, "format_message", None)
        if sentence is None:
            raise
        command = getattr(getattr(error, "ctx", None), "command_path", "bedrock-stream")
        return complain(f"{sentence().rstrip('.')} (see {command} --help)", MISUSED)
    return code if isinstance(code, int) else 0


def _interrupt() -> None:
    raise KeyboardInterrupt


def _finish(action: Callable[[], int | None]) -> None:
    raise typer.Exit(outcome(action))


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"bedrock-stream {__version__}")
        raise typer.Exit


def _seconds(value: float) -> float:
    if not 0 <= value < math.inf:
        raise typer.BadParameter(f"{value} is no number of seconds")
    return value


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    pace: Annotated[float, typer.Option(callback=_seconds, help="Seconds between deltas.")] = 0.02,
    no_pace: Annotated[bool, typer.Option("--no-pace", help="As fast as it goes.")] = False,
) -> None:
    """Show a streamed tool call from question to answer, on a local emulator: no account, no network."""

    def action() -> int | None:
        from .demo import demo

        return run(demo(0 if no_pace else pace))

    _finish(action)


@app.command()
def ask(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model id, an inference profile or an ARN.")],
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What to say; - reads it from stdin.")],
    system: Annotated[str | None, typer.Option(help="The system prompt.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="The longest answer, in tokens.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Each event as one line of JSON.")] = False,
    emulator: Annotated[bool, typer.Option("--emulator", help="Ask a local emulator in place of AWS.")] = False,
    region: Annotated[str | None, typer.Option(help="The AWS region.")] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="Where to go in place of the region's own host.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Usage on stderr, terminal or not.")] = False,
) -> None:
    """Ask a model and stream its answer to stdout. Reasoning and usage go to stderr."""

    def action() -> int | None:
        from .ask import ask, read_question

        question = read_question(
            model, prompt, system=system, max_tokens=max_tokens,
            emulator=emulator, region=region, endpoint_url=endpoint_url,
        )  # fmt: skip
        return run(ask(question, as_json=as_json, verbose=verbose))

    _finish(action)


@app.command()
def emulator(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    region: Annotated[str, typer.Option(help="The region that signatures must name.")] = "us-east-1",
    pace: Annotated[float, typer.Option(callback=_seconds, help="Seconds between deltas.")] = 0.02,
    api_key: Annotated[str | None, typer.Option(help="The only key that gets in, no example key.")] = None,
) -> None:
    """Serve a local Bedrock Runtime for any AWS client, until Ctrl-C."""

    def action() -> int | None:
        from .emulator import serve

        return run(serve(host=host, port=port, region=region, pace=pace, api_key=api_key))

    _finish(action)


@app.command()
def gateway(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="The address to listen on; off loopback it needs a key.")] = "127.0.0.1",
    key: Annotated[
        list[str] | None, typer.Option(envvar="BEDROCK_STREAM_GATEWAY_KEY", help="A key that lets in; repeatable.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="ID or NAME=ID to offer; repeatable. All if none.")] = None,
    allow_host: Annotated[list[str] | None, typer.Option(help="A name to answer under; repeatable.")] = None,
    allow_origin: Annotated[list[str] | None, typer.Option(help="A web page's origin to answer; repeatable.")] = None,
    region: Annotated[str | None, typer.Option(help="The AWS region.")] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="Where to go in place of the region's own host.")] = None,
) -> None:
    """Serve Bedrock's models to OpenAI clients, until Ctrl-C."""

    def action() -> int | None:
        from .gateway import make_gateway, serve

        app = make_gateway(
            host, keys=key, models=model, hosts=allow_host or (), origins=allow_origin or (),
            region=region, endpoint_url=endpoint_url,
        )  # fmt: skip
        return run(serve(app, host, port))

    _finish(action)


@app.command()
def play(
    aws: Annotated[bool, typer.Option("--aws", help="Talk to AWS, which costs money.")] = False,
    region: Annotated[str | None, typer.Option(help="The AWS region, with --aws.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    pace: Annotated[float, typer.Option(callback=_seconds, help="Seconds between the emulator's deltas.")] = 0.03,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address alone.")] = False,
) -> None:
    """Open a playground in the browser: chat, and every event and frame beneath it."""

    def action() -> int | None:
        from .play import play

        return run(play(aws=aws, region=region, port=port, pace=pace, browse=not no_browser))

    _finish(action)


@app.command()
def decode(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A recorded response body; - reads stdin.")],
    as_json: Annotated[bool, typer.Option("--json", help="Each frame as one line of JSON.")] = False,
) -> None:
    """Show each frame of a recorded event stream, and where it breaks."""

    def action() -> int | None:
        from .decode import decode

        return decode(file, as_json=as_json)

    _finish(action)
