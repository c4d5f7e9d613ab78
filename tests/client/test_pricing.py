"""The cost of a response: the caller's price table, the token counts of the service, and None for anything unknown."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_stream import Client, Price, Response, Usage, errors
from bedrock_stream.client.pricing import cost_of, price_for
from bedrock_stream.request.models import describe
from bedrock_stream.testing import REGION, Emulator, metadata, text
from bedrock_stream.types.events import CacheDetail
from bedrock_stream.types.messages import Ttl
from tests.conftest import KEYS

PLAIN = Price(input=3, output=15)
CACHED = Price(input=3, output=15, cache_read=0.3, cache_write=3.75, cache_write_1h=6)
MILLION = 1_000_000
LIFETIMES: tuple[tuple[Ttl, float], ...] = (("5m", 3.75), ("1h", 6.0))

# ------------------------------------------------------------------------------------------------------------- the cost

COSTS: list[tuple[str, Usage | None, Price | None, float | None]] = [
    ("input and output", Usage(2 * MILLION, MILLION), PLAIN, 6 + 15),
    ("zero tokens", Usage(0, 0), PLAIN, 0),
    ("a few tokens", Usage(10, 20), PLAIN, (10 * 3 + 20 * 15) / MILLION),
    ("unused caches", Usage(MILLION, 0, cache_read_tokens=0, cache_write_tokens=0), PLAIN, 3),
    ("a cache read", Usage(0, 0, cache_read_tokens=MILLION), CACHED, 0.3),
    ("a 5m cache write", Usage(0, 0, cache_write_tokens=MILLION), CACHED, 3.75),
    (
        "a 1h cache write",
        Usage(0, 0, cache_write_tokens=MILLION, cache_details=(CacheDetail(ttl="1h", input_tokens=MILLION),)),
        CACHED,
        6,
    ),
    (
        "cache writes of both lifetimes",
        Usage(
            MILLION,
            MILLION,
            cache_read_tokens=MILLION,
            cache_write_tokens=3 * MILLION,
            cache_details=(
                CacheDetail(ttl="1h", input_tokens=MILLION),
                CacheDetail(ttl="5m", input_tokens=2 * MILLION),
            ),
        ),
        CACHED,
        3 + 15 + 0.3 + 6 + 2 * 3.75,
    ),
    (
        "cache details without their sum",
        Usage(0, 0, cache_details=(CacheDetail(ttl="1h", input_tokens=MILLION),)),
        CACHED,
        6,
    ),
    ("no usage", None, PLAIN, None),
    ("no price", Usage(1, 1), None, None),
    ("an unknown input", Usage(None, 1), PLAIN, None),
    ("an unknown output", Usage(1, None), PLAIN, None),
    ("a cache read without a price", Usage(1, 1, cache_read_tokens=1), PLAIN, None),
    ("a cache write without a price", Usage(1, 1, cache_write_tokens=1), PLAIN, None),
    (
        "a 1h cache write without a price",
        Usage(1, 1, cache_write_tokens=1, cache_details=(CacheDetail(ttl="1h", input_tokens=1),)),
        Price(input=1, output=1, cache_write=1),
        None,
    ),
    (
        "a 1h cache write without a price for 5m writes",
        Usage(0, 0, cache_write_tokens=MILLION, cache_details=(CacheDetail(ttl="1h", input_tokens=MILLION),)),
        Price(input=1, output=1, cache_write_1h=6),
        6,
    ),
]


@pytest.mark.parametrize(("usage", "price", "cost"), [row[1:] for row in COSTS], ids=[row[0] for row in COSTS])
def test_the_cost_follows_from_counts_and_prices(usage: Usage | None, price: Price | None, cost: float | None) -> None:
    assert cost_of(usage, price) == (None if cost is None else pytest.approx(cost))


# ------------------------------------------------------------------------------------------------------------ the price

ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"
PROFILE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
TABLE = {
    "anthropic": Price(input=1, output=1),
    "anthropic.claude-sonnet": Price(input=2, output=2),
    "anthropic.claude-sonnet-4-5": Price(input=3, output=3),
    "anthropic.claude-sonnet-4-5-20250929-v1:0-later": Price(input=4, output=4),
    PROFILE: Price(input=5, output=5),
    ARN: Price(input=6, output=6),
}

PRICES: list[tuple[str, float | None]] = [
    (PROFILE, 5),
    (f"bedrock:{PROFILE}", 5),
    (PROFILE.replace("us.", "eu."), 3),
    (PROFILE.removeprefix("us."), 3),
    (f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{PROFILE}", 3),
    ("anthropic.claude-sonnet-3", 2),
    ("global.anthropic.claude-haiku-4-5", 1),
    (ARN, 6),
    (ARN.replace("abc", "xyz"), None),
    ("amazon.nova-lite-v1:0", None),
]


@pytest.mark.parametrize(("model", "rate"), PRICES, ids=[model[-40:] for model, _ in PRICES])
def test_the_exact_id_takes_precedence_over_the_longest_prefix(model: str, rate: float | None) -> None:
    price = price_for(describe(model), TABLE)
    assert (price and price.input) == rate


# --------------------------------------------------------------------------------------------------------- the response

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
USAGE = {"inputTokens": 1000, "outputTokens": 2000, "totalTokens": 3000}


async def both(client: Client, **options: Any) -> list[Response]:
    return [
        await client.generate(CLAUDE, "Hi", **options),
        await client.stream(CLAUDE, "Hi", **options).response(),
    ]


@pytest.mark.parametrize("route", [True, False], ids=["converse", "native"])
async def test_a_response_has_its_cost_on_both_routes(emulator: Emulator, route: bool) -> None:
    prices = {"anthropic.claude-sonnet-4-5": CACHED}
    async with Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, prices=prices) as client:
        for _ in range(2):
            emulator.script(text("Hi"), metadata(USAGE))
        for response in await both(client, use_converse=route):
            assert response.route == ("converse" if route else "invoke")
            assert response.cost == pytest.approx((1000 * 3 + 2000 * 15) / MILLION)


@pytest.mark.parametrize("route", [True, False], ids=["converse", "native"])
async def test_cached_tokens_are_counted_on_both_routes(emulator: Emulator, route: bool) -> None:
    prices = {CLAUDE: CACHED}
    options: dict[str, Any] = {
        "system": "You know everything about lighthouses.",
        "anthropic_prompt_cache": True,
        "anthropic_prompt_cache_ttl": "1h",
        "use_converse": route,
    }
    async with Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, prices=prices) as client:
        writing, reading = await both(client, **options)
    assert writing.usage is not None
    assert reading.usage is not None
    written, read = writing.usage.cache_write_tokens, reading.usage.cache_read_tokens
    assert written
    assert written == read
    assert writing.cost == cost_of(writing.usage, CACHED)
    assert reading.cost == cost_of(reading.usage, CACHED)
    assert reading.usage.input_tokens is not None
    assert reading.usage.output_tokens is not None
    rest = reading.usage.input_tokens * 3 + reading.usage.output_tokens * 15
    assert reading.cost == pytest.approx((read * 0.3 + rest) / MILLION)


async def test_writes_of_each_lifetime_have_their_own_price_on_both_routes(emulator: Emulator) -> None:
    prices = {CLAUDE: CACHED}
    async with Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, prices=prices) as client:
        for route in (True, False):
            for ttl, rate in LIFETIMES:
                response = await client.generate(
                    CLAUDE,
                    "Hi",
                    system=f"A system prompt for {route} and {ttl}.",
                    anthropic_prompt_cache=True,
                    anthropic_prompt_cache_ttl=ttl,
                    use_converse=route,
                )
                usage = response.usage
                assert usage is not None
                assert usage.cache_write_tokens
                assert usage.input_tokens is not None
                assert usage.output_tokens is not None
                rest = usage.input_tokens * 3 + usage.output_tokens * 15
                assert response.cost == pytest.approx((usage.cache_write_tokens * rate + rest) / MILLION)


async def test_without_a_price_or_a_usage_the_cost_is_unknown(emulator: Emulator) -> None:
    async with Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, prices={}) as client:
        assert [response.cost for response in await both(client)] == [None, None]
    async with Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, prices={CLAUDE: PLAIN}) as priced:
        emulator.script(text("Hi"), metadata(None))
        assert (await priced.stream(CLAUDE, "Hi", use_converse=True).response()).cost is None
        assert (await priced.generate("amazon.nova-lite-v1:0", "Hi")).cost is None


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        ({"anthropic": 5}, r"prices\['anthropic'\]: expected a Price, got int$"),
        ([("anthropic", PLAIN)], "prices: expected a mapping of model ids to Price, got list$"),
    ],
)
def test_an_invalid_price_is_refused_when_the_client_is_created(prices: Any, message: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=message):
        Client(prices=prices)


async def test_a_client_copies_its_price_table(emulator: Emulator) -> None:
    prices = {CLAUDE: PLAIN}
    async with Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, prices=prices) as client:
        prices.clear()
        assert (await client.generate(CLAUDE, "Hi")).cost is not None
