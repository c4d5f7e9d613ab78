"""`bedrock-stream emulator`, and an emulator with a client for the commands that need no AWS account."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from ..auth.credentials import Credentials
from ..client.client import Client
from ..errors import ConfigurationError
from ..testing import ACCESS_KEY_ID, API_KEY, CREDENTIALS, REGION, SECRET_ACCESS_KEY, Emulator, ReceivedRequest
from ..types.settings import check_region
from .serving import explain_bind_errors
from .terminal import make_console, one_line

__all__ = ("local_bedrock", "serve")


@asynccontextmanager
async def local_bedrock(
    *, region: str | None = None, pace: float = 0.0, script: Callable[[ReceivedRequest], Any] | None = None
) -> AsyncIterator[tuple[Emulator, Client]]:
    """Start an emulator in this process and yield it with a client for it; AWS environment variables have no effect."""
    region = check_region(region or REGION, "region")
    async with (
        Emulator(region=region, pace=pace, script=script) as emulator,
        Client(
            region=region,
            endpoint_url=emulator.url,
            credentials=Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY),
            # The emulator has no FIPS or dual-stack endpoint, whatever AWS_USE_*_ENDPOINT says.
            use_fips=False,
            use_dual_stack=False,
        ) as client,
    ):
        yield emulator, client


async def serve(*, host: str, port: int, region: str, pace: float, api_key: str | None) -> None:
    """Serve until cancelled, printing a line for each request."""
    try:
        emulator = Emulator(
            host=host,
            port=port,
            region=check_region(region, "region"),
            pace=pace,
            credentials=CREDENTIALS if api_key is None else None,
            api_key=API_KEY if api_key is None else api_key,
        )
    except ConfigurationError as error:
        # The emulator's remedy names its Python arguments; the command needs the option.
        if error.argument == "host":
            raise ConfigurationError("host", error.problem, "pass --api-key with a key of your own") from None
        raise
    console = make_console(sys.stdout)
    async with AsyncExitStack() as stack:
        with explain_bind_errors(host, port):
            await stack.enter_async_context(emulator)
        console.print(_welcome(emulator.url, region, api_key), soft_wrap=True)
        try:
            while True:
                await emulator.wait_for_requests(emulator.request_count + 1, timeout=None)
                _log_requests(emulator.requests, console)
        finally:
            _log_requests(emulator.requests, console)


def _welcome(url: str, region: str, api_key: str | None) -> Text:
    text = Text("The Bedrock Runtime emulator is listening on ").append(url, "bold cyan").append(" (Ctrl-C to stop)\n")
    text.append("To use it from any AWS client, set these variables:\n\n")
    endpoints = dict.fromkeys(("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL_BEDROCK_MANTLE"), url)
    variables = {**endpoints, "AWS_REGION": region}
    if api_key is None:
        variables |= {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}
    for name, value in variables.items():
        _append_export(text, name, value)
    if api_key is None:
        text.append("# or, instead of the key pair (these are all published example credentials):\n", "dim")
    _append_export(text, "AWS_BEARER_TOKEN_BEDROCK", api_key or API_KEY)
    return text


def _append_export(text: Text, name: str, value: str) -> None:
    text.append("export ", "dim").append(name, "cyan").append(f"={value}\n")


def _log_requests(requests: list[ReceivedRequest], console: Console) -> None:
    """Print the received requests and clear the list, since an emulator may run for days."""
    for request in requests:
        console.print(_log_line(request), soft_wrap=True)
    requests.clear()


def _log_line(request: ReceivedRequest) -> Text:
    text = Text(f"{datetime.now().astimezone():%H:%M:%S}  ", "dim")
    text.append(f"{request.operation or one_line(request.method)}", "bold")
    text.append(f"  {one_line(request.model or request.target)}")
    if request.auth is None:
        return text.append("  rejected", "red")
    return text.append(f"  {request.auth}", "dim")
