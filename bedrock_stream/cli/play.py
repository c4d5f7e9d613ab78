"""`bedrock-stream play`: the playground, served on loopback until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import sys
import webbrowser
from functools import partial
from secrets import token_urlsafe

from rich.text import Text

from ..errors import ConfigurationError
from ..types.settings import check_region
from .serving import listen, serve_until_cancelled
from .terminal import make_console

__all__ = ("play",)

_CREDENTIAL_VARIABLES = ("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_PROFILE")
_SHUTDOWN_TIMEOUT = 1  # seconds for open responses to finish


async def play(*, aws: bool, region: str | None, port: int, pace: float, browse: bool) -> None:
    """Serve until cancelled. Raises `ConfigurationError`, and `OSError` if the port is in use."""
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

    token = token_urlsafe()
    app = create_app(token=token, opening=opening)
    config = uvicorn.Config(
        app, access_log=False, log_level="error", ws="none", lifespan="on", timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT
    )
    with listen("127.0.0.1", port) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/?token={token}"
        make_console(sys.stdout).print(_welcome(address, aws=aws), soft_wrap=True)
        if browse:  # the socket already listens, so the browser can connect before the server has started
            await asyncio.to_thread(webbrowser.open, address)
        await serve_until_cancelled(config, listener, partial(end_answers, app))


def _welcome(address: str, *, aws: bool) -> Text:
    text = Text("The playground is running at ").append(address, "bold cyan").append("\n")
    if aws:
        text.append("Requests go to AWS and are billed to your account.", "bold yellow")
    else:
        text.append("Requests go to an emulator in this process: no AWS account, no network, no cost.", "dim")
        if any(os.environ.get(name, "").strip() for name in _CREDENTIAL_VARIABLES):
            text.append(
                "\nAWS credentials are set in the environment; pass --aws to use them (usage is billed).", "dim"
            )
    return text.append("\nThe address contains an access token: do not share it. Press Ctrl-C to stop.\n", "dim")
