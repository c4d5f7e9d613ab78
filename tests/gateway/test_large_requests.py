"""Requests with many messages, much nesting, or far more values than text."""

from __future__ import annotations

import json
import threading
from typing import Any

import httpx
import pytest

from bedrock_stream import Client
from bedrock_stream.gateway import create_gateway
from bedrock_stream.testing import API_KEY, Emulator, text
from tests.support.web_app import serving

NOVA = "amazon.nova-lite-v1:0"
HELLO = {"role": "user", "content": "Hello"}


async def post(client: Client, body: dict[str, Any] | bytes) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps({"model": NOVA, "messages": [HELLO], **body}).encode()
    async with serving(create_gateway(client)) as url, httpx.AsyncClient(timeout=50) as http:
        headers = {"content-type": "application/json"}
        return await http.post(f"{url}/v1/chat/completions", content=content, headers=headers)


def tool_results(count: int) -> list[dict[str, Any]]:
    """Return a conversation with so many calls in one turn, each with a result."""
    calls = [{"id": f"c{index}", "type": "function", "function": {"name": "f"}} for index in range(count)]
    results = [{"role": "tool", "tool_call_id": f"c{index}", "content": f"r{index}"} for index in range(count)]
    return [HELLO, {"role": "assistant", "tool_calls": calls}, *results]


async def test_any_number_of_tool_results_becomes_one_message(emulator: Emulator, client: Client) -> None:
    """So many that a copy of all earlier ones for each would not end within the time limit."""
    count = 20_000
    emulator.script(text("Done."))  # unscripted, the answer would repeat all of them
    tools = [{"type": "function", "function": {"name": "f"}}]
    response = await post(client, {"messages": tool_results(count), "tools": tools})
    assert response.status_code == 200
    *_, last = emulator.requests[-1].json["messages"]
    assert [block["toolResult"]["toolUseId"] for block in last["content"]] == [f"c{index}" for index in range(count)]


async def test_results_around_a_system_message_share_a_message_and_a_user_message_separates_them(
    emulator: Emulator, client: Client
) -> None:
    first = tool_results(2)
    first.insert(3, {"role": "system", "content": "Be brief."})
    again = {"role": "assistant", "tool_calls": [{"id": "d", "type": "function", "function": {"name": "f"}}]}
    more = [{"role": "user", "content": "Go on"}, again, {"role": "tool", "tool_call_id": "d", "content": "r"}]
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert (await post(client, {"messages": first + more, "tools": tools})).status_code == 200
    sent = emulator.requests[-1].json["messages"]
    assert ["+".join(next(iter(block)) for block in message["content"]) for message in sent] in (
        ["text", "toolUse+toolUse", "toolResult+toolResult", "text", "toolUse", "toolResult"],
        ["text", "toolUse+toolUse", "toolResult+toolResult+text", "toolUse", "toolResult"],
    )


async def test_a_large_request_is_planned_outside_the_event_loop(emulator: Emulator) -> None:
    """Other requests are served meanwhile."""
    threads: list[int] = []

    class NotingClient(Client):
        def stream(self, *args: Any, **options: Any) -> Any:
            threads.append(threading.get_ident())
            return super().stream(*args, **options)

    async with NotingClient(endpoint_url=emulator.url, api_key=API_KEY) as client:
        for count in (1, 5000):
            assert (await post(client, {"messages": [HELLO] * count})).status_code == 200
    own = threading.get_ident()
    assert [thread == own for thread in threads] == [True, False]


@pytest.mark.parametrize(
    "messages",
    [
        [HELLO] * 100_001,
        [{"role": "user", "content": [{"type": "text", "text": "x"}] * 100_001}],
        [{"role": "user", "content": [{"type": "text", "text": "x"}] * 60_000}] * 2,
        [HELLO, {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f"}}] * 100_001}],
        [HELLO, {"role": "assistant", "reasoning_details": [{"type": "x"}] * 100_001}],
    ],
)
async def test_more_messages_and_parts_than_any_model_takes_are_refused(
    emulator: Emulator, client: Client, messages: list[Any]
) -> None:
    response = await post(client, {"messages": messages})
    assert (response.status_code, response.json()["error"]["param"]) == (413, "messages")
    assert emulator.requests == []


WIDE = '{"a":[' + "[]," * (1 << 20) + "[]]}"


@pytest.mark.parametrize(
    ("member", "status"),
    [
        (f'"tools":[{{"type":"function","function":{{"name":"f","parameters":{WIDE}}}}}]', 413),
        (f'"response_format":{{"type":"json_schema","json_schema":{{"schema":{WIDE}}}}}', 413),
        (f'"functions":[{WIDE}]', 413),
        ('"stop":[' + '"a",' * (1 << 20) + '"a"]', 413),
        (f'"unknown":{WIDE}', 413),
        (
            '"messages":[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":'
            + json.dumps(WIDE)
            + "}}]}]",
            400,
        ),
    ],
)
async def test_a_request_that_costs_far_more_memory_than_its_size_is_refused(
    emulator: Emulator, client: Client, member: str, status: int
) -> None:
    rest = member if member.startswith('"messages"') else f'"messages":[{json.dumps(HELLO)}],{member}'
    response = await post(client, f'{{"model":"{NOVA}",{rest}}}'.encode())
    assert response.status_code == status
    assert emulator.requests == []


@pytest.mark.parametrize("depth", [300, 900, 960, 3000])
@pytest.mark.parametrize(("start", "end"), [('{"a":', "}"), ('{"type":"object","properties":{"a":', "}}")])
async def test_a_deeply_nested_request_is_answered_or_invalid(client: Client, depth: int, start: str, end: str) -> None:
    value = start * depth + "{}" + end * depth
    asked = f'"messages":[{json.dumps(HELLO)}]'
    call = f'{{"id":"c","function":{{"name":"f","arguments":{json.dumps(value)}}}}}'
    result = '{"role":"tool","tool_call_id":"c","content":"r"}'
    for rest in (
        f'{asked},"tools":[{{"type":"function","function":{{"name":"f","strict":true,"parameters":{value}}}}}]',
        f'{asked},"response_format":{{"type":"json_schema","json_schema":{{"schema":{value}}}}}',
        f'{asked},"functions":[{value}]',
        f'"messages":[{json.dumps(HELLO)},{{"role":"assistant","tool_calls":[{call}]}},{result}]',
    ):
        response = await post(client, f'{{"model":"{NOVA}",{rest}}}'.encode())
        assert response.status_code in (200, 400), response.text


async def test_an_error_in_a_message_names_its_path(client: Client) -> None:
    for message, param in (
        ({"role": "user", "content": 5}, "messages[1].content"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[1].content[0]"),
        ({"role": "nobody", "content": "x"}, "messages[1].role"),
        ("text", "messages[1]"),
    ):
        response = await post(client, {"messages": [HELLO, message]})
        assert (response.status_code, response.json()["error"]["param"]) == (400, param)
