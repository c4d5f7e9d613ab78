"""`bedrock-stream play`: the playground, served on loopback until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_urlsafe

from rich.text import Text

from ..errors import ConfigurationError
from ..types.settings import check_region
from .terminal import make_console

__all__ = ("play",)

_KEYS = ("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_PROFILE")
_GRACE = 1  # seconds that answers get to end once the playground is told to


async def play(*, aws: bool, region: str | None, port: int, pace: float, browse: bool) -> None:
    """Serve until cancelled. Raises `ConfigurationError`, and `OSError` for a port that is taken."""
    try:
        import uvicorn

        from .playground import create_app, end_answers, on_aws, on_emulator
        from .playground.scenes import play_scene
    except ImportError as error:
        remedy = 'pip install "bedrock-stream[play]"'
        raise ConfigurationError("play", f"{error.name} is not installed", remedy) from None
    if aws:
        opening = on_aws(None if region is None else check_region(region, "region"))
    else:
        from ..testing import Emulator

        opening = on_emulator(Emulator(pace=pace, script=play_scene))

    class Server(uvicorn.Server):
        """Leaves signals to the command, which turns every way out into its exit code."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    token = token_urlsafe()
    app = create_app(token=token, opening=opening)
    config = uvicorn.Config(
        app, access_log=False, log_level="error", ws="none", lifespan="on", timeout_graceful_shutdown=_GRACE
    )
    with socket.create_server(("127.0.0.1", port)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/?token={token}"
        _welcome(address, aws=aws)
        if browse:
            await asyncio.to_thread(webbrowser.open, address)
        server = Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        try:
            await asyncio.shield(serving)
        finally:
            server.should_exit = True
            await end_answers(app)
            await serving


def _welcome(address: str, *, aws: bool) -> None:
    text = Text("The playground is at ").append(address, "bold cyan").append("\n")
    if aws:
        text.append("It talks to AWS: every answer costs what the model costs.", "bold yellow")
    else:
        text.append("It talks to an emulator in this process: no account, no network, no cost.", "dim")
        if any(os.environ.get(name, "").strip() for name in _KEYS):
            text.append("\nThere are keys for AWS in the environment: --aws talks to it, at its prices.", "dim")
    text.append("\nThe address lets a browser in; keep it to yourself. Ctrl-C ends it.\n", "dim")
    make_console(sys.stdout).print(text, soft_wrap=True)
