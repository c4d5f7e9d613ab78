"""The playground on a socket, served by uvicorn as in the command."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from bedrock_stream.cli.playground import create_app, end_answers, on_emulator
from bedrock_stream.testing import Emulator
from tests.support.web_app import EventDrivenServer

TOKEN = "a-token-of-this-test"


@asynccontextmanager
async def served(emulator: Emulator) -> AsyncIterator[str]:
    """Serve the playground, which starts the emulator; yield its address without the token."""
    app = create_app(token=TOKEN, opening=on_emulator(emulator))
    config = uvicorn.Config(app, access_log=False, log_level="error", ws="none", lifespan="on")
    server = EventDrivenServer(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.stop()
            await end_answers(app)
            await serving
