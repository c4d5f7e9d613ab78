"""Costs by genai-prices: its own calculation, and None for every price that it does not know."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis.strategies import integers, just, one_of, sampled_from, tuples

from bedrock_stream import Client, Price, Usage
from bedrock_stream.client import list_prices
from bedrock_stream.testing import REGION, Emulator, metadata, text
from bedrock_stream.types.events import CacheDetail
from tests.support.clients import client_of

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-lite-v1:0"
USAGE = {"inputTokens": 1000, "outputTokens": 2000, "totalTokens": 3000}
MODELS = [
    CLAUDE,
    f"us.{CLAUDE}",
    f"global.{CLAUDE}",
    "us.anthropic.claude-3-5-haiku-20241022-v1:0",
    "global.anthropic.claude-opus-4-5-20251101-v1:0",
    NOVA,
    "us.amazon.nova-pro-v1:0",
    "us.amazon.nova-2-lite-v1:0",
    "us.meta.llama4-scout-17b-instruct-v1:0",
    "mistral.mistral-large-2402-v1:0",
    "openai.gpt-oss-120b-1:0",
    "qwen.qwen3-32b-v1:0",
]


@pytest.fixture(autouse=True)
def loaded_anew() -> Iterator[None]:
    list_prices._loaded.clear()
    yield
    list_prices._loaded.clear()


async def cost(emulator: Emulator, model: str, usage: dict[str, Any] = USAGE, **options: Any) -> float | None:
    """Return the cost of a streamed response, which is that of one that is not streamed."""
    client_options = {name: options.pop(name) for name in ("region", "models", "prices") if name in options}
    for _ in range(2):
        emulator.script(text("Hi"), metadata(usage))
    async with client_of(emulator.url, **client_options) as client:
        streamed = await client.stream(model, "Hi", use_converse=True, **options).response()
        whole = await client.generate(model, "Hi", use_converse=True, **options)
    assert streamed.cost == whole.cost
    return whole.cost


def expected(model: str, **counts: int) -> float:
    return float(genai_prices.calc_price(genai_prices.Usage(**counts), model, provider_id="aws").total_price)


@pytest.mark.parametrize("model", MODELS)
async def test_costs_are_those_of_the_packages_own_calculation(emulator: Emulator, model: str) -> None:
    price = expected(model, input_tokens=1000, output_tokens=2000)
    assert price > 0
    assert await cost(emulator, model) == pytest.approx(price)


def every_model() -> list[str]:
    """Return the models that the package finds by its own names of them."""
    snapshot, found = get_snapshot(), []
    for model in next(provider for provider in snapshot.providers if provider.id == "aws").models:
        with suppress(LookupError):
            snapshot.find_provider_model(model.id, None, "aws", None)
            found.append(model.id)
    return found


@settings(max_examples=300)
@given(
    model=sampled_from(every_model()),
    counts=tuples(*[one_of(just(0), integers(0, 1000), integers(0, 1_500_000))] * 5),
)
def test_every_model_with_any_counts_has_the_cost_of_the_packages_own_calculation(
    model: str, counts: tuple[int, ...]
) -> None:
    asked, written, read, kept, kept_1h = counts
    detail = CacheDetail(ttl="1h", input_tokens=kept_1h)
    usage = Usage(asked, written, cache_read_tokens=read, cache_write_tokens=kept + kept_1h, cache_details=(detail,))
    mine = list_prices._calculator(genai_prices)(usage, model, "us-east-1")
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")
    told = dict(zip(names, (asked + read + kept + kept_1h, written, read, kept + kept_1h, kept_1h), strict=True))
    theirs = genai_prices.calc_price(genai_prices.Usage(**told), model, provider_id="aws")
    used = dict(zip(("cache_read", "cache_write", "cache_write_1h"), (read, kept, kept_1h), strict=True))
    needed = ["input", "output", *(name for name, count in used.items() if count)]
    if any(getattr(theirs.model_price, f"{name}_mtok") is None for name in needed):
        assert mine is None
    else:
        assert mine == float(theirs.total_price)


async def test_regional_profiles_cost_more_than_global_ones(emulator: Emulator) -> None:
    regional, worldwide = await cost(emulator, f"us.{CLAUDE}"), await cost(emulator, f"global.{CLAUDE}")
    assert regional is not None
    assert worldwide is not None
    assert regional > worldwide


@pytest.mark.parametrize("kind", ["inference-profile", "application-inference-profile"])
async def test_a_profiles_arn_has_the_price_of_what_it_names(emulator: Emulator, kind: str) -> None:
    model = "us.anthropic.claude-opus-4-5-20251101-v1:0"
    name = model if kind == "inference-profile" else "abc123"
    arn = f"arn:aws:bedrock:{REGION}:123456789012:{kind}/{name}"
    named: dict[str, Any] = {} if kind == "inference-profile" else {"base_model": model}
    price = expected(model, input_tokens=1000, output_tokens=2000)
    assert await cost(emulator, arn, **named) == pytest.approx(price)
    assert named == {} or await cost(emulator, arn) is None


# ------------------------------------------------------------------------------------------------------ cached tokens


def calculated(usage: Usage, model: str = f"us.{CLAUDE}", region: str = REGION) -> float | None:
    return list_prices._calculator(genai_prices)(usage, model, region)


def test_cached_tokens_have_their_own_prices() -> None:
    details = (CacheDetail("5m", 300), CacheDetail("1h", 400))
    usage = Usage(1000, 2000, cache_read_tokens=500, cache_write_tokens=700, cache_details=details)
    price = expected(
        f"us.{CLAUDE}",
        input_tokens=2200,
        output_tokens=2000,
        cache_read_tokens=500,
        cache_write_tokens=700,
        cache_write_1h_tokens=400,
    )
    assert calculated(usage) == pytest.approx(price)
    assert price == pytest.approx((1000 * 3.3 + 500 * 0.33 + 300 * 4.125 + 400 * 6.6 + 2000 * 16.5) / 1e6)


@pytest.mark.parametrize(
    ("usage", "model"),
    [
        (Usage(1, 1, cache_read_tokens=1), "anthropic.claude-3-haiku-20240307-v1:0"),
        (Usage(1, 1, cache_write_tokens=1), NOVA),
        (Usage(1, 1, cache_details=(CacheDetail("1h", 1),)), "us.anthropic.claude-3-7-sonnet-20250219-v1:0"),
        (Usage(1, None), NOVA),
        (Usage(None, 1), NOVA),
        (Usage(-1, 1), NOVA),
        (Usage(1, 1), "amazon.titan-embed-text-v2:0"),
        (Usage(1, 1), "amazon.unheard-of-v1:0"),
    ],
)
def test_a_cost_of_which_a_part_is_unknown_is_unknown(usage: Usage, model: str) -> None:
    assert calculated(usage, model) is None


# ------------------------------------------------------------------------------------------- prices that are not known


@pytest.mark.parametrize(
    ("model", "region", "known"),
    [
        (NOVA, "us-west-2", True),
        (NOVA, "eu-central-1", False),
        (f"eu.{CLAUDE}", "eu-central-1", True),
        (f"global.{CLAUDE}", "ap-northeast-1", True),
        (f"us-gov.{CLAUDE}", "us-gov-west-1", False),
        (CLAUDE, "cn-north-1", False),
        (NOVA, "us-iso-east-1", False),
    ],
)
def test_regions_with_other_prices_have_none(model: str, region: str, known: bool) -> None:
    assert (calculated(Usage(1, 1), model, region) is not None) == known


@pytest.mark.parametrize(
    ("options", "extra", "known"),
    [
        ({}, {"serviceTier": {"type": "default"}}, True),
        ({}, {"serviceTier": {"type": "flex"}}, False),
        ({"service_tier": "priority"}, {}, False),
        ({"service_tier": "priority"}, {"serviceTier": {"type": "default"}}, True),
        ({}, {"performanceConfig": {"latency": "optimized"}}, False),
        ({"performance": "optimized"}, {"performanceConfig": {"latency": "standard"}}, True),
    ],
)
async def test_other_service_tiers_and_latency_modes_have_no_price(
    emulator: Emulator, options: dict[str, Any], extra: dict[str, Any], known: bool
) -> None:
    model = "us.amazon.nova-pro-v1:0"
    emulator.script(text("Hi"), metadata(USAGE, **extra))
    async with client_of(emulator.url) as client:
        response = await client.stream(model, "Hi", **options).response()
    # The emulator reports the tier that was asked for, unless the script says another one.
    assert (response.cost is not None) == known


async def test_models_of_the_account_have_no_price(emulator: Emulator) -> None:
    arn = f"arn:aws:bedrock:{REGION}:123456789012:provisioned-model/abc123"
    assert await cost(emulator, arn, models={arn: NOVA}) is None


async def test_a_table_of_the_caller_is_the_only_source(emulator: Emulator) -> None:
    assert await cost(emulator, NOVA, prices={CLAUDE: Price(input=1, output=1)}) is None
    assert await cost(emulator, NOVA, prices={}) is None
    assert await cost(emulator, NOVA, prices={NOVA: Price(input=1, output=1)}) == pytest.approx(0.003)
    assert not list_prices._loaded


# -------------------------------------------------------------------------------------------------------- the package


async def test_without_the_package_costs_are_unknown(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_prices, "find_spec", lambda _name: None)
    assert await cost(emulator, NOVA) is None


@pytest.mark.parametrize("broken", ["import", "later"])
async def test_a_package_that_fails_is_logged_once_and_fails_no_response(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    if broken == "later":
        assert await cost(emulator, NOVA) is not None
    monkeypatch.delattr(genai_prices, "calc_price")
    with caplog.at_level(logging.ERROR, "bedrock_stream"):
        assert [await cost(emulator, CLAUDE) for _ in range(2)] == [None, None]
    assert [record.message for record in caplog.records if "genai-prices" in record.message] == [
        "genai-prices is installed and does not work; costs are unknown"
        if broken == "import"
        else "genai-prices failed; costs are unknown from now on"
    ]


async def test_nothing_is_fetched(emulator: Emulator, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up = []
    original = socket.getaddrinfo

    def look_up(host: Any, *rest: Any, **options: Any) -> Any:
        looked_up.append(host)
        return original(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert (await client.generate(NOVA, "Hi")).cost is not None
    assert set(looked_up) <= {"127.0.0.1"}


def test_it_is_imported_by_the_first_response_and_in_a_thread() -> None:
    code = f"""
import asyncio, sys, threading
from bedrock_stream import Client
from bedrock_stream.testing import API_KEY, Emulator

class Finder:
    thread = None
    def find_spec(self, name, path=None, target=None):
        if name == "genai_prices.data":
            Finder.thread = threading.current_thread()

sys.meta_path.insert(0, Finder())

async def main():
    async with Emulator() as aws, Client(region="{REGION}", endpoint_url=aws.url, api_key=API_KEY) as client:
        async with client.stream("{NOVA}", "Hi") as stream:
            async for _ in stream:
                pass
            assert "genai_prices" not in sys.modules
            assert (await stream.response()).cost
            assert Finder.thread not in (None, threading.main_thread())

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=50)  # noqa: S603 - our own code
