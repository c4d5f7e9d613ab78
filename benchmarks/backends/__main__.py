"""Serve one backend with uvicorn in its own process.

    python -m benchmarks.backends SETTING    prints its port as JSON, serves until stdin is closed

A POST with the messages of a Converse request streams the answer. `GET /cpu` returns the CPU seconds of the process.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ..loops import limit_reads, raise_file_limit
from ..measure import OURS, Setting
from . import load


def main() -> None:
    """Serve until stdin is closed."""
    raise_file_limit()
    setting = msgspec.json.decode(sys.argv[1], type=Setting)
    if setting.contender != OURS:  # as in `benchmarks.child`
        limit_reads()
    config = uvicorn.Config(_app(setting), loop=setting.loop, http="httptools", log_level="warning")
    server = uvicorn.Server(config)
    threading.Thread(target=_stop_with_stdin, args=(server,), daemon=True).start()
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        print(json.dumps(listener.getsockname()[1]), flush=True)
        server.run(sockets=[listener])


def _stop_with_stdin(server: uvicorn.Server) -> None:
    sys.stdin.read()
    server.should_exit = True


def _app(setting: Setting) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with load(setting.contender).responding(setting) as respond:
            yield {"respond": respond}

    return Starlette(routes=[Route("/cpu", _cpu), Route("/{path:path}", _chat, methods=["POST"])], lifespan=lifespan)


async def _cpu(request: Request) -> Response:
    return PlainTextResponse(repr(time.process_time()))


async def _chat(request: Request) -> Response:
    body = await request.json()
    response: Response = request.state.respond(body["messages"][0]["content"][0]["text"])
    return response


if __name__ == "__main__":
    main()
