"""A chat server: it remembers each conversation, lets the model call a tool, and can be stopped in an answer."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from starlette.background import BackgroundTask
from starlette.responses import Response

from bedrock_stream import BedrockStreamError, Client, Message, ToolRun
from bedrock_stream.integrations.starlette import bedrock_lifespan, error_response, event_response, get_client

MODEL = "amazon.nova-lite-v1:0"
Bedrock = Annotated[Client, Depends(get_client)]


class Question(BaseModel):
    text: str


def weather(city: Annotated[str, "English name of the city"]) -> dict[str, str]:
    """Tell the weather of a city."""
    return {"city": city, "sky": "rain"}


class Chats:
    """The conversations, and the answers that are being written. In memory: a restart forgets them."""

    def __init__(self) -> None:
        self._messages: dict[str, tuple[Message, ...]] = {}
        self._running: dict[str, ToolRun] = {}

    def history(self, chat: str) -> tuple[Message, ...]:
        return self._messages.get(chat, ())

    def begin(self, chat: str, run: ToolRun) -> None:
        self._running[chat] = run

    async def end(self, chat: str, run: ToolRun) -> None:
        if self._running.get(chat) is run:
            # Valid as a history also after a stop: with `keep_partial`, the half answer is part of it.
            self._messages[chat] = run.messages
            del self._running[chat]

    async def stop(self, chat: str) -> bool:
        run = self._running.get(chat)
        if run is not None:
            await run.aclose()
            await self.end(chat, run)
        return run is not None


def create_app(settings: Mapping[str, Any]) -> FastAPI:
    app = FastAPI(lifespan=bedrock_lifespan(**settings))
    app.add_exception_handler(BedrockStreamError, error_response)
    chats = Chats()

    @app.post("/chats/{chat}")
    async def ask(chat: str, question: Question, client: Bedrock) -> Response:
        prompt = [*chats.history(chat), Message.user(question.text)]
        run = client.run_tools(MODEL, prompt, tools=[weather], max_tokens=500, keep_partial=True)
        chats.begin(chat, run)
        return event_response(run, "ui-message", background=BackgroundTask(chats.end, chat, run))

    @app.post("/chats/{chat}/stop")
    async def stop(chat: str) -> None:
        if not await chats.stop(chat):
            raise HTTPException(404, "no answer is being written")

    @app.get("/chats/{chat}")
    async def show(chat: str) -> list[Message]:
        return [*chats.history(chat)]

    return app
