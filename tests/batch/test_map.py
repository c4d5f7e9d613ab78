"""`Client.map`: each prompt is one row with its own outcome, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest

from bedrock_stream import (
    Ask,
    Client,
    Committed,
    Message,
    Price,
    RetryPolicy,
    Row,
    Stop,
    Stream,
    Target,
    Timeouts,
    errors,
)
from bedrock_stream.observing import Subject
from bedrock_stream.testing import REGION
from bedrock_stream.transport import lanes
from tests.support.counting_server import (
    BROKEN,
    CLAUDE,
    DENIED,
    INVALID,
    MODEL,
    THROTTLED,
    Asked,
    check_rows,
    counting,
    prompts,
    read_into,
    refusal,
    rows_of,
    whole,
)
from tests.support.socket_server import END, START, exception, text


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(lanes, "_LONGEST_PAUSE", 0.002)


async def later(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(0)
        yield item


# ----------------------------------------------------------------------------------------------------------------- rows


async def test_what_a_reader_found_to_be_invalid_keeps_its_place() -> None:
    invalid = errors.RowInvalid("line 2", "is not valid JSON")
    async with counting() as (server, client):
        items = [prompts(1)[0], invalid, *prompts(1, start=2)]
        rows = await rows_of(client.map(MODEL, items, max_tokens=50, ordered=True))
        check_rows(rows, 3, failed=(1,))
        assert rows[1].error is invalid
        assert sum(server.asked.values()) == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("concurrency", [1, 7])
async def test_each_prompt_is_asked_once_and_is_one_row(concurrency: int, stream: bool) -> None:
    async with counting() as (server, client):
        batch = client.map(MODEL, prompts(30), concurrency=concurrency, max_tokens=50, stream=stream)
        rows = await rows_of(batch)
        check_rows(rows, 30)
        assert {(row.attempts, row.reused, row.value) for row in rows} == {(1, False, None)}
        assert {row.target for row in rows} == {Target(model=MODEL, region=REGION, endpoint_url=server.url)}
        assert len({row.key for row in rows}) == 30
        assert set(server.asked.values()) == {1}
        progress = batch.progress
        assert (progress.total, progress.done, progress.failed, progress.in_flight, progress.waiting) == (
            30,
            30,
            0,
            0,
            0,
        )
        assert progress.usage.output_tokens == (60 if stream else 210)
        assert progress.reason is None
        assert all("stream" in one.request_line for one in server.connections) is stream


@pytest.mark.parametrize(
    "source",
    [
        lambda: prompts(9),
        lambda: iter(prompts(9)),
        lambda: later(prompts(9)),
        lambda: [[Message.user(one)] for one in prompts(9)],
        lambda: [iter([{"role": "user", "content": one}]) for one in prompts(9)],
        lambda: later([Ask(one, max_tokens=9) for one in prompts(9)]),
    ],
    ids=["list", "iterator", "async", "messages", "iterators of dicts", "asks"],
)
async def test_prompts_come_in_every_form(source: Any) -> None:
    async with counting() as (_, client):
        check_rows([row async for row in client.map(MODEL, source(), concurrency=4, max_tokens=50)], 9)


async def test_no_prompts_are_no_rows() -> None:
    async with counting() as (server, client):
        assert await rows_of(client.map(MODEL, [])) == []
        assert await rows_of(client.map(MODEL, later([]))) == []
        assert server.connections == []


async def test_reasoning_is_summed_where_the_service_reports_it() -> None:
    counts = {"completion_tokens_details": {"reasoning_tokens": 3}}
    said = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12, **counts}
    choice = {"message": {"role": "assistant", "content": "answer"}, "finish_reason": "stop"}
    answer = whole({"choices": [choice], "usage": said})
    async with counting(lambda asked: answer if asked.item else None) as (_, client):
        batch = client.map("openai.gpt-oss-20b-1:0", prompts(3, start=1), max_tokens=50)
        await rows_of(batch)
        usage = batch.progress.usage
        assert (usage.reasoning_tokens, usage.output_tokens) == (9, 21)
        batch = client.map(MODEL, prompts(1), max_tokens=50)
        await rows_of(batch)
        assert batch.progress.usage.reasoning_tokens is None


async def test_a_row_has_its_own_model_options_and_body() -> None:
    body = {"max_tokens": 33, "messages": [{"role": "user", "content": "item=2 hello"}]}
    messages = [{"role": "user", "content": [{"text": "item=3 hello"}]}]
    converse = {"messages": messages, "inferenceConfig": {"maxTokens": 33}}
    asks = [
        "item=0 hello",
        Ask("item=1 hello", model="amazon.nova-pro-v1:0", max_tokens=77, top_p=0.5),
        Ask(body=body, model=CLAUDE, key="mine"),
        Ask(body=converse, converse=True),
    ]
    prices = {name: Price(input=1e6, output=2e6) for name in (MODEL, "amazon.nova-pro", CLAUDE)}
    async with counting(prices=prices) as (server, client):
        rows = await rows_of(client.map(MODEL, asks, max_tokens=50, temperature=0.5, ordered=True))
        assert [row.error for row in rows] == [None] * 4
        assert rows[1].target is not None
        assert rows[1].target.model == "amazon.nova-pro-v1:0"
        assert rows[2].key == "mine"
        assert rows[2].response["content"] == [{"type": "text", "text": "answer=2;"}]
        assert rows[3].response["output"]["message"]["content"] == [{"text": "answer=3;"}]
        assert [row.cost for row in rows] == [19.0] * 4, "known from the counts in a native body, too"
        bodies = {
            b"item=%d" % item: one.body
            for item in range(4)
            for one in server.connections
            if b"item=%d" % item in one.body
        }
        assert msgspec.json.decode(bodies[b"item=2"]) == body
        assert msgspec.json.decode(bodies[b"item=3"]) == converse
        assert b'"maxTokens":77' in bodies[b"item=1"]
        assert b"temperature" in bodies[b"item=0"]


@pytest.mark.parametrize(("most", "is_streamed"), [(50, False), (1024, False), (1025, True), (None, True)])
async def test_rows_are_streamed_unless_they_are_short(most: int | None, is_streamed: bool) -> None:
    async with counting() as (server, client):
        options: Any = {} if most is None else {"max_tokens": most}
        check_rows(await rows_of(client.map(MODEL, prompts(2), **options)), 2)
        assert ["stream" in one.request_line for one in server.connections] == [is_streamed] * 2


async def test_each_reads_the_stream_and_its_value_is_the_row_s() -> None:
    async def first_text(stream: Stream) -> str:
        async for piece in stream.text_stream:
            return piece
        return ""

    async def count(stream: Stream) -> int:
        return len([event async for event in stream])

    async with counting() as (_, client):
        rows = await rows_of(client.map(MODEL, prompts(3), each=count, max_tokens=9, ordered=True))
        assert [(row.value, row.response.text) for row in rows] == [(4, f"answer={index};") for index in range(3)]
        rows = await rows_of(client.map(MODEL, prompts(3), each=first_text, ordered=True))
        assert [row.value for row in rows] == [f"answer={index};" for index in range(3)]


# ------------------------------------------------------------------------------------------------- bounded and in order


@pytest.mark.parametrize(("ordered", "most"), [(False, 8), (True, 16)])
async def test_an_unread_batch_takes_no_more_prompts(ordered: bool, most: int) -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield f"item={taken - 1} hello"

    async with (
        counting() as (_, client),
        client.map(MODEL, endless(), concurrency=4, max_tokens=50, ordered=ordered) as rows,
    ):
        while rows.progress.done < most:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert taken == most
        await anext(rows)
        while rows.progress.done < most + 1:
            await asyncio.sleep(0)
        assert taken == most + 1


async def test_rows_come_as_they_end_or_in_the_order_of_the_prompts() -> None:
    proceed = asyncio.Event()

    def plan(asked: Asked) -> Any:
        return proceed.wait() if asked.item == 0 else None

    async with counting(plan) as (_, client):
        async with client.map(MODEL, prompts(6), concurrency=3, max_tokens=50) as rows:
            early = [(await anext(rows)).index for _ in range(5)]
            assert sorted(early) == [1, 2, 3, 4, 5]
            proceed.set()
            assert (await anext(rows)).index == 0
        proceed.clear()
        async with client.map(MODEL, prompts(50), concurrency=3, max_tokens=50, ordered=True) as rows:
            while rows.progress.done < 11:
                await asyncio.sleep(0)
            assert rows.progress.in_flight == 1, "four times the concurrency is held back, then all wait for the oldest"
            proceed.set()
            assert [row.index async for row in rows] == list(range(50))


async def test_the_tasks_are_the_workers_alone() -> None:
    most = 0

    def plan(_asked: Asked) -> None:
        nonlocal most
        most = max(most, sum(task.get_name() == "row" for task in asyncio.all_tasks()))

    async with counting(plan) as (_, client):
        before = len(asyncio.all_tasks())
        check_rows(await rows_of(client.map(MODEL, prompts(40), concurrency=5, max_tokens=50)), 40)
        assert 1 <= most <= 5
        check_rows(await rows_of(client.map(MODEL, prompts(2), concurrency=1000, max_tokens=50)), 2)
        assert most <= 5, "workers are started as prompts come"
        assert len(asyncio.all_tasks()) <= before + 2  # the server's own


async def test_rows_start_in_visits_of_their_own() -> None:
    visits, starts = 0, list[int]()
    loop = asyncio.get_running_loop()

    def visit() -> None:
        nonlocal visits
        visits += 1
        loop.call_soon(visit)

    class Watcher:
        def watch(self, _subject: Subject) -> None:
            starts.append(visits)

    async with counting(observers=[Watcher()]) as (_, client):
        loop.call_soon(visit)
        check_rows(await rows_of(client.map(MODEL, prompts(60), concurrency=30, max_tokens=50)), 60)
        assert len(starts) == 60
        assert max(starts.count(visit) for visit in starts) <= 2, "nor a row that begins beside one that goes on"


# ------------------------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (INVALID, errors.ValidationFailed),
        (DENIED, errors.AccessDenied),
        (refusal(404, "ResourceNotFoundException"), errors.ResourceNotFound),
    ],
)
async def test_a_refused_row_is_an_error_row(answer: bytes, kind: type[Exception]) -> None:
    async with counting(lambda asked: answer if asked.item in (0, 7) else None) as (server, client):
        batch = client.map(MODEL, prompts(12), concurrency=4, max_tokens=50)
        rows = await rows_of(batch)
        check_rows(rows, 12, failed=(0, 7))
        bad = [row for row in rows if row.error is not None]
        assert {type(row.error) for row in bad} == {kind}
        assert all(row.error is not None and row.error.__traceback__ is None and row.response is None for row in bad)
        assert server.asked[7] == 1
        assert batch.progress.failed == 2


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_row_is_retried_as_the_policy_says_and_only_it_waits(stream: bool, reset: bool) -> None:
    def plan(asked: Asked) -> bytes | None:
        if asked.item == 4 and asked.nth < 3:
            if not reset:
                return BROKEN
            asked.connection.reset()
            return b""
        return BROKEN if asked.item == 5 else None

    async with counting(plan) as (server, client):
        batch = client.map(MODEL, prompts(9), concurrency=3, max_tokens=50, stream=stream)
        rows = await rows_of(batch)
        check_rows(rows, 9, failed=(5,))
        assert (server.asked[4], server.asked[5]) == (3, 3)
        attempts = {row.index: row.attempts for row in rows if row.attempts != 1}
        assert attempts == {4: 2 if reset else 3, 5: 3}, "a kept connection that was dead costs no attempt"
        assert client.stats().retries_left == 100


@pytest.mark.parametrize("fault", ["cut", "exception"])
@pytest.mark.parametrize("for_good", [False, True])
async def test_an_answer_that_is_lost_after_its_content_is_asked_again(fault: str, for_good: bool) -> None:
    def plan(asked: Asked) -> bytes | None:
        if asked.item != 2 or (asked.nth > 1 and not for_good):
            return None
        asked.connection.begin()
        asked.connection.chunk(START + text("answer"))
        if fault == "cut":
            asked.connection.close()
        else:
            asked.connection.chunk(exception("modelStreamErrorException", "No."))
            asked.connection.end()
        return b""

    async with counting(plan) as (server, client):
        batch = client.map(MODEL, prompts(5), concurrency=2, stream=True)
        rows = await rows_of(batch)
        check_rows(rows, 5, failed=(2,) if for_good else ())
        assert server.asked[2] == (3 if for_good else 2)
        assert batch.progress.paid_again == (2 if for_good else 1)
        assert next(row.attempts for row in rows if row.index == 2) == server.asked[2]


async def test_with_each_nothing_is_asked_again_after_its_first_event() -> None:
    def plan(asked: Asked) -> bytes | None:
        if asked.item == 0:
            asked.connection.begin()
            asked.connection.chunk(START + text("answer") + exception("throttlingException", "No."))
            asked.connection.end()
            return b""
        return THROTTLED if asked.item == 1 and asked.nth == 1 else None

    async def read(stream: Stream) -> str:
        return "".join([piece async for piece in stream.text_stream])

    async with counting(plan) as (server, client):
        rows = await rows_of(client.map(MODEL, prompts(3), concurrency=1, each=read, ordered=True))
        assert [type(row.error) for row in rows] == [errors.Throttled, type(None), type(None)]
        assert [row.value for row in rows] == [None, "answer=1;", "answer=2;"]
        assert server.asked == {0: 1, 1: 2, 2: 1}


async def test_what_each_raises_is_the_row_s_error() -> None:
    async def fail(stream: Stream) -> None:
        response = await stream.response()
        if response.text in ("answer=1;", "answer=2;"):
            raise LookupError(response.text)

    async with counting() as (_, client):
        rows = await rows_of(client.map(MODEL, prompts(3), each=fail, ordered=True))
        assert [repr(row.error) for row in rows] == ["None", "LookupError('answer=1;')", "LookupError('answer=2;')"]


@pytest.mark.parametrize(
    "bad",
    [
        12345,
        None,
        "",
        " \n",
        [],
        b"bytes",
        "\ud800",
        {"role": "user"},
        Ask(),
        Ask("item=1 hello", body={"a": 1}),
        Ask("item=1 hello", key=""),
        Ask("item=1 hello", key=7),  # type: ignore[arg-type]
        Ask("item=1 hello", temperatur=1),  # type: ignore[call-arg]
        Ask("item=1 hello", retry="no"),  # type: ignore[arg-type]
        Ask("item=1 hello", tokens=-1),
        Ask("item=1 hello", model="a model"),
        Ask("item=1 hello", key="first"),
        Ask(body={"a": {1, object()}}),
        Ask(body=[]),  # type: ignore[arg-type]
        pytest.param("x" * 20_000_001, id="too long"),
    ],
)
async def test_bad_input_is_an_error_row_and_nothing_is_sent(bad: Any) -> None:
    given = [Ask("item=0 hello", key="first"), bad, "item=2 hello"]
    async with counting() as (server, client):
        rows = await rows_of(client.map(MODEL, given, concurrency=1, max_tokens=50, ordered=True))
        check_rows(rows, 3, failed=(1,))
        error = rows[1].error
        assert isinstance(error, errors.RowInvalid)
        assert error.argument.startswith("prompts[1]")
        assert set(server.asked) == {0, 2}


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"prompts": "one prompt"}, "prompts: expected an iterable of prompts, got str; pass a list"),
        ({"prompts": 7}, "prompts: expected an iterable"),
        ({"model": ""}, "model: "),
        ({"concurrency": 0}, "concurrency: expected a positive int, got 0"),
        ({"patience": -1}, "patience: expected a positive number"),
        ({"stop": 5}, "stop: expected a Stop, got int"),
        ({"each": 5}, "each: expected an async function"),
        ({"each": len, "stream": False}, "stream: cannot be False with each"),
        ({"journal": 5}, r"Journal\.path: expected a path"),
        ({"keep": False}, "keep: is False"),
        ({"max_token": 5}, "max_token: unknown option; did you mean max_tokens"),
    ],
    ids=repr,
)
async def test_a_bad_argument_is_an_error_of_the_call(arguments: dict[str, Any], match: str) -> None:
    async with Client(region=REGION, api_key="key") as client:
        with pytest.raises(errors.ConfigurationError, match=match):
            client.map(**{"model": MODEL, "prompts": [], **arguments})


# ------------------------------------------------------------------------------------------------- throttling and lanes


@pytest.mark.parametrize("stream", [False, True])
async def test_throttling_pauses_and_no_row_fails(stream: bool) -> None:
    def plan(asked: Asked) -> bytes | None:
        return THROTTLED if asked.number <= 25 else None

    async with counting(plan, retry=RetryPolicy(max_attempts=1)) as (server, client):
        batch = client.map(MODEL, prompts(60), concurrency=20, max_tokens=50, stream=stream)
        check_rows(await rows_of(batch), 60)
        assert len(server.connections) == 85
        assert batch.progress.throttled == 25
        assert 9 <= batch.progress.pauses <= 25, "at most 16 at once, and then probes"
        assert client.stats().retries_left == 100


async def test_the_window_doubles_and_two_maps_share_the_lane() -> None:
    async with counting(max_connections=100) as (_, client):
        first = client.map(MODEL, prompts(100), concurrency=40, max_tokens=50)
        assert first.progress.window == 40
        await asyncio.gather(rows_of(first), rows_of(client.map(MODEL, prompts(100), concurrency=40, max_tokens=50)))
        assert client.stats().lanes == {(REGION, MODEL): 100}


async def test_throttling_without_end_stops_the_batch_and_leaves_the_rows_open() -> None:
    slow = refusal(429, "ThrottlingException", headers=b"retry-after: 3600\r\n")
    async with counting(lambda asked: slow if asked.item else None) as (_, client):
        batch = client.map(MODEL, prompts(30), concurrency=5, max_tokens=50, patience=0.05)
        rows: list[Row] = []
        with pytest.raises(
            errors.BatchStopped, match=r"throttled, without one success for 0\.05 s: Throttling"
        ) as caught:
            await read_into(rows, batch)
        assert [row.index for row in rows] == [0]
        assert caught.value.progress.done == 1
        assert caught.value.progress.waiting == 0
        with pytest.raises(errors.BatchStopped):
            await anext(batch)


@pytest.mark.parametrize("answer", [DENIED, refusal(404, "ResourceNotFoundException")])
async def test_the_same_refusal_of_access_for_the_first_20_rows_stops_the_batch(answer: bytes) -> None:
    async with counting(lambda _asked: answer) as (server, client):
        batch, rows = client.map(MODEL, prompts(1000), concurrency=3, max_tokens=50), list[Row]()
        with pytest.raises(errors.BatchStopped, match="the first 20 rows failed with"):
            await read_into(rows, batch)
        assert 20 <= len(rows) == len(server.connections) <= 22


async def test_after_one_success_refusals_are_rows_as_others() -> None:
    async with counting(lambda asked: DENIED if asked.item else None) as (_, client):
        rows = await rows_of(client.map(MODEL, prompts(50), concurrency=1, max_tokens=50))
        check_rows(rows, 50, failed=tuple(range(1, 50)))


async def test_a_row_that_is_being_answered_is_a_success() -> None:
    proceed = asyncio.Event()

    async def answer_slowly(asked: Asked) -> None:
        asked.connection.begin()
        asked.connection.chunk(START + text("answer"))
        await proceed.wait()
        asked.connection.chunk(text("=0;") + END)
        asked.connection.end()
        await asked.connection.closed.wait()

    async with (
        counting(lambda asked: DENIED if asked.item else answer_slowly(asked)) as (_, client),
        client.map(MODEL, prompts(30), concurrency=2, stream=True) as rows,
    ):
        refused = [await anext(rows) for _ in range(29)]
        proceed.set()
        check_rows([*refused, *[row async for row in rows]], 30, failed=tuple(range(1, 30)))


async def test_a_mistake_in_each_does_not_cost_all_rows() -> None:
    async def fail(stream: Stream) -> None:
        raise LookupError(stream.model)

    async with counting() as (_, client):
        with pytest.raises(errors.BatchStopped, match=r"the first 20 rows failed with LookupError"):
            await rows_of(client.map(MODEL, prompts(1000), concurrency=3, each=fail))


async def test_a_row_goes_to_the_failover_target() -> None:
    async with counting() as (working, _), counting(lambda _asked: BROKEN) as (_, client):
        target = Target(endpoint_url=working.url)
        rows = await rows_of(client.map(MODEL, prompts(3), failover=[target], max_tokens=50))
        check_rows(rows, 3)
        assert {row.target.endpoint_url for row in rows if row.target is not None} == {working.url}


# ------------------------------------------------------------------------------------------------------------- ceilings


@pytest.mark.parametrize(
    ("stop", "asked", "reason"),
    [
        (Stop(rows=7), range(7, 8), r"7 rows were asked \(Stop\.rows\)"),
        (Stop(output_tokens=70), range(10, 14), r"\d+ output tokens were used \(Stop\.output_tokens\)"),
        (Stop(cost=70.0), range(10, 14), r"the rows cost \d+ \(Stop\.cost\)"),
        (Stop(failures=3), range(15, 20), r"\d rows failed \(Stop\.failures\)"),
    ],
    ids=["rows", "tokens", "cost", "failures"],
)
async def test_a_ceiling_stops_the_intake_and_rows_in_flight_end(stop: Stop, asked: range, reason: str) -> None:
    def plan(asked: Asked) -> bytes | None:
        return INVALID if stop.failures is not None and asked.item % 5 == 0 and asked.item else None

    async with counting(plan, prices={MODEL: Price(input=0, output=1e6)}) as (server, client):
        rows: list[Row] = []
        with pytest.raises(errors.BatchStopped, match=reason):
            await read_into(rows, client.map(MODEL, prompts(500), concurrency=4, max_tokens=50, stop=stop))
        assert len(rows) == len(server.connections)
        assert len(rows) in asked


async def test_a_ceiling_of_time_ends_even_a_pause() -> None:
    slow = refusal(429, "ThrottlingException", headers=b"retry-after: 3600\r\n")
    async with counting(lambda _asked: slow) as (_, client):
        with pytest.raises(errors.BatchStopped, match=r"0\.05 s have passed \(Stop\.seconds\)"):
            await rows_of(client.map(MODEL, prompts(30), concurrency=4, max_tokens=50, stop=Stop(seconds=0.05)))


async def test_a_ceiling_that_the_last_row_reaches_stops_nothing() -> None:
    async with counting() as (_, client):
        check_rows(await rows_of(client.map(MODEL, prompts(5), max_tokens=50, stop=Stop(rows=5))), 5)


async def test_a_ceiling_of_cost_needs_prices() -> None:
    async with counting() as (server, client):
        with pytest.raises(errors.ConfigurationError, match=r"prices: 'amazon\.nova-lite-v1:0' has no price"):
            await rows_of(client.map(MODEL, prompts(5), stop=Stop(cost=1)))
        assert server.connections == []
    async with counting(prices={MODEL: Price(input=1, output=1)}) as (server, client):
        asks = ["item=0 hello", Ask("item=1 hello", model="amazon.nova-pro-v1:0")]
        rows = await rows_of(client.map(MODEL, asks, max_tokens=50, ordered=True, stop=Stop(cost=1)))
        assert isinstance(rows[1].error, errors.RowInvalid)
        assert set(server.asked) == {0}


async def test_what_is_committed_is_the_worst_case_of_the_rows_in_flight() -> None:
    waiting = asyncio.Event()

    async def plan(_asked: Asked) -> None:
        await waiting.wait()

    asks = [
        Ask("item=0 hello", max_tokens=100),
        Ask("item=1 hello", tokens=1000),
        Ask(body={"max_tokens": 30, "messages": [{"role": "user", "content": "item=2"}]}, model=CLAUDE),
    ]
    prices = {MODEL: Price(input=1e6, output=2e6), CLAUDE: Price(input=1e6, output=3e6)}
    async with counting(plan, prices=prices) as (server, client), client.map(MODEL, asks, max_tokens=50) as rows:
        before = rows.progress.committed
        assert (before.rows, before.output_tokens) in [(0, 0), (1, 0)], "nothing is planned yet"
        async with asyncio.timeout(20):
            while len(server.asked) < 3:
                await asyncio.sleep(0)
        bound = rows.progress.committed
        assert (bound.rows, bound.output_tokens) == (3, 100 + 50 + 30)
        assert 1000 + 12 + 6 <= bound.input_tokens <= 1000 + 250
        assert bound.cost == bound.input_tokens + 2 * 100 + 2 * 50 + 3 * 30
        waiting.set()
        check_rows([row async for row in rows if row.index < 2], 2)
        bound = rows.progress.committed
        assert (bound.rows, bound.input_tokens, bound.output_tokens, bound.cost) == (0, 0, 0, 0.0)


async def test_without_a_limit_or_a_price_the_most_of_the_model_is_committed() -> None:
    async def read(stream: Stream) -> None:
        await anext(stream)
        seen.append(batch.progress.committed)

    seen: list[Committed] = []
    async with counting() as (_, client):
        other = "openai.gpt-oss-20b-1:0"
        largest = client.facts(other).max_output
        batch = client.map(MODEL, prompts(1), failover=[Target(model=other)], each=read, max_tokens=None)
        await rows_of(batch)
    assert [(bound.rows, bound.output_tokens, bound.cost) for bound in seen] == [(1, largest, None)], "of all targets"


async def test_a_ceiling_is_passed_by_no_more_than_what_was_committed() -> None:
    passed: list[float] = []

    def plan(_asked: Asked) -> None:
        bound = batch.progress.committed
        passed.append(bound.output_tokens)
        assert bound.cost is not None

    async with counting(plan, prices={MODEL: Price(input=0, output=1e6)}) as (_, client):
        batch = client.map(MODEL, prompts(500), concurrency=8, max_tokens=20, stop=Stop(output_tokens=70))
        with pytest.raises(errors.BatchStopped) as caught:
            await read_into([], batch)
    assert 70 <= (caught.value.progress.usage.output_tokens or 0) <= 70 + max(passed)


@pytest.mark.parametrize("stop", [{"rows": 0}, {"cost": -1}, {"seconds": float("inf")}, {"failures": "3"}])
def test_an_invalid_ceiling_is_an_error(stop: dict[str, Any]) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"Stop\.\w+: expected a positive number or None"):
        Stop(**stop)


# -------------------------------------------------------------------------------------------------------------- leaving


async def hang(asked: Asked) -> None:
    await asked.connection.closed.wait()


@pytest.mark.parametrize("way", ["break", "close", "cancel", "drop", "raise"])
@pytest.mark.parametrize("stream", [False, True])
async def test_leaving_frees_all_connections(way: str, stream: bool) -> None:
    def plan(asked: Asked) -> Any:
        return None if asked.item == 0 else hang(asked)

    closed = []

    def source() -> Iterator[str]:
        try:
            yield from prompts(1000)
        finally:
            closed.append(True)

    async with counting(plan) as (server, client):
        batch = client.map(MODEL, source(), concurrency=9, max_tokens=50, stream=stream)
        assert (await anext(batch)).index == 0
        await server.arrived(10)
        match way:
            case "break":
                async with batch:
                    pass
            case "close":
                await batch.aclose()
                with pytest.raises(errors.BatchStopped, match="it was closed"):
                    await anext(batch)
            case "cancel":
                reading = asyncio.create_task(anext(batch))
                await asyncio.sleep(0)
                reading.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await reading
            case "drop":
                with pytest.warns(ResourceWarning, match="a Batch was dropped before its end"):
                    del batch
                    gc.collect()
            case "raise":
                with pytest.raises(LookupError):
                    async with batch:
                        raise LookupError
        await asyncio.wait_for(server.deserted(), 20)
        assert client.stats().open_streams == client.stats().waiting == 0
        while not closed:
            await asyncio.sleep(0)


async def test_drain_lets_rows_in_flight_end() -> None:
    async with counting() as (server, client):
        async with client.map(MODEL, prompts(1000), concurrency=5, max_tokens=50) as rows:
            first = [await anext(rows) for _ in range(3)]
            await rows.drain()
            others = [row async for row in rows]
        check_rows(first + others, len(server.connections))
        assert len(server.connections) <= 3 + 10


async def test_drain_does_not_wait_for_a_throttled_model() -> None:
    slow = refusal(429, "ThrottlingException", headers=b"retry-after: 3600\r\n")
    async with (
        counting(lambda asked: slow if asked.item else None) as (_, client),
        client.map(MODEL, prompts(1000), concurrency=5, max_tokens=50) as rows,
    ):
        assert (await anext(rows)).index == 0
        while rows.progress.paused_until is None:
            await asyncio.sleep(0)
        assert rows.progress.reason == "throttled"
        await rows.drain()
        assert [row async for row in rows] == []


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_source_that_raises_ends_the_batch_after_the_rows_before_it(kind: str) -> None:
    def broken() -> Iterator[str]:
        yield from prompts(30)
        raise LookupError("the source broke")

    async def broken_later() -> AsyncIterator[str]:
        for one in broken():
            yield one

    async with counting() as (_, client):
        rows: list[Row] = []
        source = broken() if kind == "sync" else broken_later()
        with pytest.raises(LookupError, match="the source broke"):
            await read_into(rows, client.map(MODEL, source, concurrency=20))
        check_rows(rows, 30)


async def test_a_source_that_raises_a_cancellation_does_not_look_finished() -> None:
    async def cancelled() -> AsyncIterator[str]:
        yield "item=0 hello"
        raise asyncio.CancelledError

    async with counting() as (_, client):
        with pytest.raises(RuntimeError, match="the prompts raised CancelledError"):
            await rows_of(client.map(MODEL, cancelled()))


async def test_a_closed_client_ends_its_batches() -> None:
    async with counting(hang_all) as (server, client):
        batch = client.map(MODEL, prompts(100), concurrency=4, max_tokens=50)
        reading = asyncio.create_task(rows_of(batch))
        await server.arrived(4)
        await client.aclose()
        with pytest.raises(errors.BatchStopped, match=r"the client (was|is) closed"):
            await reading


def hang_all(asked: Asked) -> Any:
    return hang(asked)


async def test_a_slow_source_holds_back_no_row_that_has_ended() -> None:
    async def slow() -> AsyncIterator[str]:
        for one in prompts(3):
            yield one
        await asyncio.Event().wait()

    async with counting() as (_, client), client.map(MODEL, slow(), max_tokens=50) as rows:
        assert sorted([(await anext(rows)).index for _ in range(3)]) == [0, 1, 2]


async def test_the_pool_limit_fails_no_row() -> None:
    async with counting(max_connections=1, timeouts=Timeouts(pool=1e-9)) as (_, client):
        check_rows(await rows_of(client.map(MODEL, prompts(20), concurrency=9, max_tokens=50)), 20)


async def test_secrets_of_rows_are_in_no_repr_or_error() -> None:
    ask = Ask("item=0 hello", api_key="bedrock-api-key-c2VjcmV0", temperatur=1)  # type: ignore[call-arg]
    async with counting() as (_, client):
        (row,) = await rows_of(client.map(MODEL, [ask], api_key="bedrock-api-key-c2VjcmV0"))
        assert isinstance(row.error, errors.RowInvalid)
        assert "c2VjcmV0" not in repr(ask) + repr(row) + str(row.error)
        assert row.error.__traceback__ is None


async def test_a_batch_that_was_closed_before_its_start_does_not_look_finished() -> None:
    async with counting() as (_, client):
        batch = client.map(MODEL, prompts(3))
        await batch.aclose()
        with pytest.raises(errors.BatchStopped, match="it was closed"):
            await anext(batch)


def test_a_batch_that_was_not_started_is_dropped_in_silence() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Client(region=REGION, api_key="key").map(MODEL, [])
        gc.collect()
