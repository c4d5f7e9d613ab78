"""What type checkers say of calls: each line that they must refuse has a comment, which must not be superfluous."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never, assert_type

from pydantic import BaseModel

import bedrock_stream
from bedrock_stream import (
    Block,
    CallOptions,
    Client,
    Event,
    Message,
    Response,
    Stream,
    Text,
    TextDelta,
    ToolCallEnd,
    ToolEvent,
    ToolResult,
    ToolRun,
    ToolRunEvent,
    Usage,
    errors,
    generate,
    stream,
)
from bedrock_stream.integrations.starlette import bedrock_lifespan


class City(BaseModel):
    name: str


async def parsed_has_the_type_of_the_schema(client: Client, schema: Mapping[str, Any], **anything: Any) -> None:
    assert_type(client.stream("m", "q", output_schema=City), Stream[City])
    assert_type(stream("m", "q", output_schema=City), Stream[City])
    assert_type((await client.generate("m", "q", output_schema=City)).parsed, City | None)
    assert_type((await generate("m", "q", output_schema=dict[str, int])).parsed, dict[str, int] | None)
    assert_type(await client.stream("m", "q", output_schema=City).response(), Response[City])
    assert_type(await client.run_tools("m", "q", output_schema=City).response(), Response[City])
    assert_type(client.stream("m", "q", max_tokens=5), Stream)
    assert_type(client.stream("m", "q", output_schema=schema), Stream)
    assert_type(client.stream("m", "q", output_schema=None), Stream)
    assert_type(client.stream("m", "q", **anything), Stream)
    plain: Stream = client.stream("m", "q", output_schema=City)
    run: ToolRun = client.run_tools("m", "q")
    response: Response = await plain.response()
    wide: Response[object] = await client.generate("m", "q", output_schema=City)
    del run, response, wide


def options_are_typed(client: Client, options: CallOptions, limit: int | None) -> None:
    client.stream("m", "q", **options)
    client.explain("m", "q", **options)
    client.stream("m", "q", max_tokens=limit, system=None, reasoning=None, effort="high", prompt_cache="auto")
    client.invoke_stream("m", {}, region="us-east-1", timeouts=None)
    bedrock_lifespan(region="us-east-1", max_connections=10)
    bedrock_lifespan(reigon="us-east-1")  # type: ignore[call-overload]
    client.stream("m", "q", max_tokens="3")  # type: ignore[arg-type]
    client.stream("m", "q", max_token=3)  # type: ignore[call-arg]
    client.stream("m", "q", effort="hgh")  # type: ignore[arg-type]
    client.stream("m", "q", prompt_cache_ttl="2h")  # type: ignore[arg-type]
    client.invoke_stream("m", {}, max_tokens=3)  # type: ignore[call-arg]
    Message("robot", "a")  # type: ignore[arg-type]
    ToolResult("1", "a", "fine")  # type: ignore[arg-type]


def events_narrow(event: Event, item: ToolRunEvent, block: Block, call: ToolEvent) -> str:
    if event.type == "text_delta":
        assert_type(event, TextDelta)
    if item.type == "tool_result":
        assert_type(item, ToolResult)
    if block.type == "text":
        assert_type(block, Text)
    match call.type:
        case "tool_call_start" | "tool_call_delta":
            return ""
        case "tool_call_end":
            assert_type(call, ToolCallEnd)
        case _:
            assert_never(call)
    return call.raw


def errors_have_types(usages: list[Usage]) -> Usage | int:
    try:
        return sum(usages)
    except bedrock_stream.errors.TotalTimeout as error:
        assert_type(error.partial, Response | None)
        return int(error.limit)
    except (bedrock_stream.Throttled, errors.StreamInterrupted) as error:
        return error.events_received


async def an_async_stream_has_no_other_way_in(client: Client) -> None:
    for _ in client.stream("m", "q"):  # type: ignore[attr-defined]
        pass
    with client.stream("m", "q"):  # type: ignore[attr-defined]
        pass
    await client.stream("m", "q")  # type: ignore[misc]
