"""An application with a relay, whose answer waits in the middle until the test goes on."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bedrock_stream import Client, Stream, ToolRun
from bedrock_stream.integrations.starlette import Relay, relay_response, resume_response
from bedrock_stream.testing import Emulator, text, tool_call

__all__ = ("MODEL", "Chat")

MODEL = "amazon.nova-lite-v1:0"


class Chat:
    """The application. After `script`, its answer waits for `go_on` between "One two " and "three four."."""

    def __init__(self, client: Client, relay: Relay, protocol: Any = "ui-message") -> None:
        self.client = client
        self.relay = relay
        self.protocol = protocol
        self.go_on = asyncio.Event()
        self.waiting = asyncio.Event()
        self.gated = False
        self.app = Starlette(
            routes=[
                Route("/chat/{key}", self.ask, methods=["GET", "POST"]),
                Route("/chat/{key}/stream", self.resume),
                Route("/chat/{key}/stop", self.stop, methods=["POST"]),
            ]
        )

    def script(self, emulator: Emulator) -> None:
        self.gated = True
        emulator.script(text(["One ", "two "]), tool_call("wait"))
        emulator.script(text(["three ", "four."]))

    async def wait(self) -> str:
        """Wait until the test goes on."""
        self.waiting.set()
        await self.go_on.wait()
        return "waited"

    def answer(self) -> Stream | ToolRun:
        if self.gated:
            return self.client.run_tools(MODEL, "Hi", tools=[self.wait])
        return self.client.stream(MODEL, "Hi")

    async def ask(self, request: Request) -> Response:
        return relay_response(self.relay, request.path_params["key"], self.answer(), self.protocol)

    async def resume(self, request: Request) -> Response:
        return await resume_response(request, self.relay, request.path_params["key"], self.protocol)

    async def stop(self, request: Request) -> Response:
        return JSONResponse(await self.relay.stop(request.path_params["key"]))
