"""Stream an answer to a browser: `uvicorn fastapi_app:app`, and `GET /answer?question=Hello`.

A reader who leaves ends the stream at Bedrock within 250 ms. Needs the extra `starlette`, FastAPI and uvicorn.
"""

from typing import Annotated

from fastapi import Depends, FastAPI, Query, Response

from bedrock_stream import BedrockStreamError, Client, Timeouts
from bedrock_stream.integrations.starlette import bedrock_lifespan, error_response, event_response, get_client

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"

app = FastAPI(lifespan=bedrock_lifespan(timeouts=Timeouts(first_content=20, total=120)))
app.add_exception_handler(BedrockStreamError, error_response)
Bedrock = Annotated[Client, Depends(get_client)]


@app.get("/answer")
async def answer(client: Bedrock, question: Annotated[str, Query(min_length=1, max_length=4000)]) -> Response:
    return event_response(client.stream(MODEL, question, max_tokens=1000), "events")


@app.get("/health")
async def health(client: Bedrock) -> dict[str, int]:
    return {"open_streams": client.stats().open_streams}
