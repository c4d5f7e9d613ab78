"""The commands and their options. Each command imports its own module when it runs, which keeps `--help` fast."""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import Annotated

import typer

from .._version import __version__
from . import batch_options as b
from . import options as o
from .exit_codes import MEANINGS, USAGE_ERROR, print_error, run, run_command

__all__ = ("app", "invoke")

app: typer.Typer = typer.Typer(
    name="bedrock-stream",
    help="Stream model responses from Amazon Bedrock or from a local emulator.",
    epilog=f"Exit codes: {'; '.join(f'{code} {meaning}' for code, meaning in MEANINGS.items())}.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_BATCH = (
    "Ask each line of a file, and write the answers to another one.\n\n"
    "Lines are those of Bedrock's batch jobs, of OpenAI's batch API, or prompts. Throttling pauses the run and fails "
    "nothing. All that is done is in OUT.partial until OUT is complete: the same command again goes on. Beside OUT are "
    "OUT.manifest.json and, where rows failed, OUT.failed.jsonl with their lines. Ctrl-C lets the rows in flight end; "
    "again, it stops at once. Exit codes: 0 all rows have an answer; 3 some failed; 4 rows are left, run it again; 2 "
    "wrong arguments."
)


_DOCTOR = (
    "Find out why a model cannot be reached.\n\n"
    "Checks credentials, clock, proxy, TLS, region, endpoint and model id, then asks the model for the fewest tokens "
    "that it takes, usually one, which are billed; --no-call leaves that out. A remedy follows each failure. The exit "
    "code is 0 if no check failed, 2 if the first failure is a setting or missing credentials, else 1."
)


def invoke(arguments: list[str]) -> int:
    """Run one command line and return its exit code. Usage errors are printed as one line."""
    if isinstance(sys.stdout, TextIOWrapper):
        # A character that the locale cannot encode must not abort a response.
        sys.stdout.reconfigure(errors="replace")
    try:
        code = app(arguments or ["--help"], prog_name="bedrock-stream", standalone_mode=False)
    except typer.Abort:  # how typer reports Ctrl-C
        return run_command(_interrupt)
    except Exception as error:
        # typer's usage errors have no public base class in common across its versions, but all have this method.
        format_message: Callable[[], str] | None = getattr(error, "format_message", None)
        if format_message is None:
            raise
        command = getattr(getattr(error, "ctx", None), "command_path", "bedrock-stream")
        return print_error(f"{format_message().rstrip('.')} (see {command} --help)", USAGE_ERROR)
    return code if isinstance(code, int) else 0


def _interrupt() -> None:
    raise KeyboardInterrupt


def _exit_with(action: Callable[[], int | None]) -> None:
    raise typer.Exit(run_command(action))


def _show_version(requested: bool) -> None:
    if requested:
        print(f"bedrock-stream {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    pace: o.Seconds = 0.02,
    no_pace: Annotated[bool, typer.Option("--no-pace", help="Do not wait between deltas.")] = False,
) -> None:
    """Show a streamed tool call on a local emulator, without AWS."""

    def action() -> int | None:
        from .demo import demo

        return run(demo(0 if no_pace else pace))

    _exit_with(action)


@app.command()
def ask(
    model: o.Model,
    prompt: o.Prompt,
    system: o.System = None,
    max_tokens: o.MaxTokens = None,
    temperature: o.Temperature = None,
    top_p: o.TopP = None,
    stop: o.Stop = None,
    schema: o.Schema = None,
    image: o.Images = None,
    document: o.Documents = None,
    api: o.Api = None,
    endpoint: o.Endpoint = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as one line of JSON.")] = False,
    emulator: Annotated[bool, typer.Option("--emulator", help="Use a local emulator instead of AWS.")] = False,
    region: o.Region = None,
    profile: o.Profile = None,
    endpoint_url: o.EndpointUrl = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print usage to stderr even if it is not a terminal.")
    ] = False,
) -> None:
    """Send a prompt to a model and stream the response to stdout.

    Reasoning, tool calls and usage go to stderr.
    """

    def action() -> int | None:
        from .ask import ask, read_question

        question = read_question(
            model, prompt, system=system, max_tokens=max_tokens, temperature=temperature, top_p=top_p,
            stop_sequences=stop, schema=schema, images=image or (), documents=document or (),
            api=api, endpoint=endpoint, emulator=emulator, region=region, profile=profile, endpoint_url=endpoint_url,
        )  # fmt: skip
        return run(ask(question, as_json=as_json, verbose=verbose))

    _exit_with(action)


@app.command(help=_BATCH)
def batch(
    source: b.Source,
    out: b.Out,
    model: b.Model = None,
    format: b.Format = "auto",
    invocation_type: b.InvocationType = None,
    system: o.System = None,
    max_tokens: o.MaxTokens = None,
    temperature: o.Temperature = None,
    top_p: o.TopP = None,
    check: b.Check = False,
    dry_run: b.DryRun = False,
    concurrency: b.Concurrency = 256,
    ordered: b.Ordered = False,
    stream: b.Stream = None,
    retry_failed: b.RetryFailed = False,
    dedupe: b.Dedupe = False,
    force: b.Force = False,
    no_input: b.NoInput = False,
    as_json: b.JsonLines = False,
    rpm: b.Rpm = None,
    tpm: b.Tpm = None,
    redis: b.Redis = None,
    max_cost: b.MaxCost = None,
    prices: b.Prices = None,
    max_output_tokens: b.MaxOutputTokens = None,
    max_failures: b.MaxFailures = None,
    patience: b.Patience = 3600.0,
    region: o.Region = None,
    profile: o.Profile = None,
    endpoint_url: o.EndpointUrl = None,
) -> None:
    """Ask each line of a file."""
    arguments = dict(locals())

    def action() -> int | None:
        from .batch import run_batch

        return run(run_batch(**arguments))

    _exit_with(action)


@app.command()
def explain(
    model: o.Model,
    prompt: o.Prompt,
    system: o.System = None,
    max_tokens: o.MaxTokens = None,
    temperature: o.Temperature = None,
    top_p: o.TopP = None,
    stop: o.Stop = None,
    schema: o.Schema = None,
    image: o.Images = None,
    document: o.Documents = None,
    api: o.Api = None,
    endpoint: o.Endpoint = None,
    region: o.Region = None,
    profile: o.Profile = None,
    endpoint_url: o.EndpointUrl = None,
    as_json: o.AsJson = False,
) -> None:
    """Show what `ask` would send, where and why. Sends nothing."""

    def action() -> int | None:
        from .ask import read_question
        from .explain import explain

        question = read_question(
            model, prompt, system=system, max_tokens=max_tokens, temperature=temperature, top_p=top_p,
            stop_sequences=stop, schema=schema, images=image or (), documents=document or (),
            api=api, endpoint=endpoint, region=region, profile=profile, endpoint_url=endpoint_url,
        )  # fmt: skip
        return run(explain(question, as_json=as_json))

    _exit_with(action)


@app.command()
def models(
    pattern: Annotated[
        str | None, typer.Argument(metavar="[PATTERN]", help="Part of an id, a name or a family; or a whole id.")
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Search the models that the library knows, and what each takes."""

    def action() -> None:
        from .models import models

        models(pattern, as_json=as_json)

    _exit_with(action)


@app.command(help=_DOCTOR)
def doctor(
    model: o.Model,
    region: o.Region = None,
    profile: o.Profile = None,
    endpoint_url: o.EndpointUrl = None,
    no_call: Annotated[bool, typer.Option("--no-call", help="Do not call the model, which costs a token.")] = False,
    as_json: o.AsJson = False,
) -> None:
    """Find out why a model cannot be reached, with a remedy for each cause."""

    def action() -> int | None:
        from .doctor import Question, doctor

        question = Question(model=model, region=region, profile=profile, endpoint_url=endpoint_url, pays=not no_call)
        return run(doctor(question, as_json=as_json))

    _exit_with(action)


@app.command()
def emulator(
    port: o.Port = 0,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    region: Annotated[str, typer.Option(help="Region that requests must be signed for.")] = "us-east-1",
    pace: o.Seconds = 0.02,
    api_key: Annotated[str | None, typer.Option(help="API key to require instead of the example credentials.")] = None,
) -> None:
    """Serve a local Bedrock Runtime for any AWS client, until Ctrl-C."""

    def action() -> int | None:
        from .emulator import serve

        return run(serve(host=host, port=port, region=region, pace=pace, api_key=api_key))

    _exit_with(action)


@app.command()
def gateway(
    port: o.Port = 8000,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Any address except loopback requires --key.")
    ] = "127.0.0.1",
    key: Annotated[
        list[str] | None,
        typer.Option(envvar="BEDROCK_STREAM_GATEWAY_KEY", help="API key that clients must send; repeatable."),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Model to offer, as ID or NAME=ID; repeatable. Default: all models.")
    ] = None,
    allow_host: Annotated[list[str] | None, typer.Option(help="Host header to accept; repeatable.")] = None,
    allow_origin: Annotated[list[str] | None, typer.Option(help="Origin of a web page to accept; repeatable.")] = None,
    region: o.Region = None,
    profile: o.Profile = None,
    endpoint_url: o.EndpointUrl = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not print a line for each request.")] = False,
) -> None:
    """Serve Bedrock models to OpenAI clients, until Ctrl-C."""

    def action() -> int | None:
        from .gateway import make_gateway, serve

        app = make_gateway(
            host, keys=key, models=model, hosts=allow_host or (), origins=allow_origin or (),
            region=region, profile=profile, endpoint_url=endpoint_url,
        )  # fmt: skip
        return run(serve(app, host, port, quiet=quiet))

    _exit_with(action)


@app.command()
def play(
    aws: Annotated[bool, typer.Option("--aws", help="Use AWS instead of the emulator; usage is billed.")] = False,
    region: Annotated[str | None, typer.Option(help="AWS region, with --aws.")] = None,
    port: o.Port = 0,
    pace: o.Seconds = 0.03,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address without opening a browser.")
    ] = False,
) -> None:
    """Open a chat in the browser that also shows every event and frame."""

    def action() -> int | None:
        from .play import play

        return run(play(aws=aws, region=region, port=port, pace=pace, browse=not no_browser))

    _exit_with(action)


@app.command()
def decode(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Recorded response body, or - for stdin.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print each frame or event as one line of JSON.")] = False,
) -> None:
    """Print the frames or server-sent events of a recorded stream, and where it breaks."""

    def action() -> int | None:
        from .decode import decode

        return decode(file, as_json=as_json)

    _exit_with(action)
