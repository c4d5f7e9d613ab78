"""Thousands of streams at once, some with each fault, some left early: all accounted for, and nothing left behind.

    python -m tests.support.soak --streams 10000 --at-once 2000 --cancel 0.2 --fault 0.05

Each stream says in its prompt what shall befall it, so each outcome is held against what was asked for. The emulator
is a process of its own: what is counted here is the client's alone. Prints the figures, and exits with 1 if a stream
ended otherwise than it had to, or if a socket, task, thread, warning or object is left. A seed makes the same plan
again. `test_soak` runs a small one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec

from bedrock_stream import Client, Credentials, RetryPolicy, Stream, Timeouts, errors
from bedrock_stream.testing import (
    ACCESS_KEY_ID,
    REGION,
    SECRET_ACCESS_KEY,
    Emulator,
    ReceivedRequest,
    Step,
    cut,
    flip_bit,
    hang_before_headers,
    http_error,
    reset,
    stall,
    stream_error,
    unscripted,
    wrong_content_type,
)
from bedrock_stream.transport.http_response import HttpResponse
from tests.support.leftovers import Open, open_sockets

ROOT = Path(__file__).parents[2]

__all__ = ("FAULTS", "Figures", "Plan", "run")

MODEL = "anthropic.claude-3-sonnet-20240229-v1:0"
SILENCE = 1.0
"""Seconds after which a stream that is told to fall silent is given up."""

COME_AND_GO = 5_000
"""Blocks of memory that caches and free lists hold or do not, however many streams there were."""

FAULTS: dict[str, tuple[Step, type[errors.BedrockStreamError]]] = {
    "refused": (http_error(429, "ThrottlingException", "No."), errors.Throttled),
    "unavailable": (http_error(503, None, "No."), errors.ServiceUnavailable),
    "exception": (stream_error("modelStreamErrorException", "No."), errors.ModelStreamError),
    "cut": (cut(), errors.StreamInterrupted),
    "cut_inside": (cut(inside=20), errors.StreamInterrupted),
    "torn": (cut(torn=True), errors.StreamInterrupted),
    "torn_chunk": (cut(torn="chunk"), errors.StreamInterrupted),
    "reset": (reset(), errors.StreamInterrupted),
    "no_answer": (reset(before_headers=True), errors.ConnectionFailed),
    "flipped": (flip_bit(-1), errors.ChecksumMismatch),
    "stall": (stall(), errors.IdleTimeout),
    "hang": (hang_before_headers(), errors.FirstEventTimeout),
    "page": (wrong_content_type(), errors.NotAnEventStream),
}
WAYS = ("break", "drop", "close", "cancel", "timeout")
"""How a stream is left early."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How much of what."""

    streams: int = 10_000
    at_once: int = 2_000
    cancel: float = 0.2
    """The part of the streams that are left early."""
    fault: float = 0.05
    """The part of the streams that meet each of the faults."""
    seed: int = 1


class Fate(msgspec.Struct, frozen=True):
    """What shall befall one stream."""

    fault: str | None
    way: str | None
    place: float
    """How far into the answer: of the fault, and of leaving."""
    converse: bool


class Figures(msgspec.Struct, kw_only=True):
    """What came of it."""

    outcomes: Counter[str]
    wrong: list[str]
    """Streams that ended otherwise than they had to."""
    warned: int
    """`ResourceWarning`s; one for each stream that was dropped."""
    seconds: float
    events: int
    grown: int
    """Blocks of memory, most of them below 512 bytes, that there are more than before."""
    left: dict[str, int]
    """What was there at the end that was not there before."""

    @property
    def clean(self) -> bool:
        """Whether everything went as it had to."""
        return not self.wrong and not any(self.left.values()) and self.warned == self.outcomes["dropped"]


# ----------------------------------------------------------------------------------------------------------- one stream


def fates(plan: Plan) -> list[Fate]:
    """What shall befall each stream, the same for the same seed."""
    dice, kinds = Random(plan.seed), list(FAULTS)  # noqa: S311 - what has to repeat cannot be secret
    made = []
    for _ in range(plan.streams):
        drawn = int(dice.random() / plan.fault) if plan.fault else len(kinds)
        way: str | None = dice.choice(WAYS)
        fault = kinds[drawn] if drawn < len(kinds) else None
        if dice.random() >= plan.cancel:
            way = None
        elif fault and way == "drop":  # a fault that has come already closed the stream, and then nothing warns
            way = "break"
        made.append(Fate(fault, way, 0.2 + 0.6 * dice.random(), dice.random() < 0.5))
    return made


def start(client: Client, fate: Fate) -> Stream:
    prompt = f"fault={fate.fault} at={fate.place:.3f}" if fate.fault else "Tell me something."
    limits = Timeouts(connect=120, pool=None, first_event=120, idle=120)
    if fate.fault == "stall":
        limits = msgspec.structs.replace(limits, idle=SILENCE)
    elif fate.fault == "hang":
        limits = msgspec.structs.replace(limits, first_event=SILENCE)
    return client.stream(MODEL, prompt, use_converse=fate.converse, timeouts=limits)


async def live(client: Client, fate: Fate, events: list[int]) -> str:
    """Live one stream through; returns what became of it in one word."""
    stream = start(client, fate)
    many = int(40 * fate.place)
    try:
        match fate.way:
            case "drop":
                async for _ in stream:
                    if stream.delivered == many:
                        return "dropped"
            case "close":
                async for _ in stream:
                    if stream.delivered == many:
                        await stream.aclose()
                        return "left"
            case "timeout":
                async with asyncio.timeout(fate.place):
                    await stream.response()
            case _:
                async with stream:
                    async for _ in stream:
                        if fate.way == "break" and stream.delivered == many:
                            return "left"
    except errors.BedrockStreamError as error:
        return type(error).__name__
    except (TimeoutError, asyncio.CancelledError):
        return "left"
    finally:
        events[0] += stream.delivered
    return "finished"


async def judged(client: Client, fate: Fate, events: list[int], wrong: list[str]) -> str:
    """Live it through, and see whether it ended as it had to."""
    task = asyncio.ensure_future(live(client, fate, events))
    if fate.way == "cancel":
        asyncio.get_running_loop().call_later(fate.place, task.cancel)
    try:
        outcome = await task
    except asyncio.CancelledError:  # before it began
        outcome = "left"
    due = {FAULTS[fate.fault][1].__name__ if fate.fault else "finished"}
    if fate.way is not None:  # which of the two comes first is a race
        due |= {"left", "dropped"}
    if outcome not in due:
        wrong.append(f"{fate}: {outcome}, expected {' or '.join(sorted(due))}")
    return outcome


# --------------------------------------------------------------------------------------------------------- all of them


async def run(plan: Plan) -> Figures:
    """Live through all streams of a plan; what is left is counted after the client is closed."""
    room_for(4 * plan.at_once + 100)
    wrong: list[str] = []
    events = [0]
    others = streams_alive()
    warm_up = msgspec.structs.replace(plan, streams=min(plan.streams // 3, 500))
    async with served() as (url, report):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await soak(url, warm_up, [0], [])
            before = await settled()
            caught.clear()
            began = time.monotonic()
            outcomes = Counter(await soak(url, plan, events, wrong))
            after = await settled()
        seconds = time.monotonic() - began
        emulator = await report()
    grown = after.blocks - before.blocks
    strange = [str(one.message) for one in caught if "was dropped before its end" not in str(one.message)]
    left = {
        "sockets": after.open.sockets - before.open.sockets,
        "tasks": after.open.tasks - before.open.tasks,
        "threads": after.open.threads - before.open.threads,
        "streams": after.streams - others,
        "blocks of memory": grown if grown > COME_AND_GO else 0,
        "answers in the emulator": emulator["open"],
        "sockets in the emulator": emulator["sockets"],
    }
    return Figures(
        outcomes=outcomes,
        wrong=[*wrong, *strange],
        warned=len(caught) - len(strange),
        seconds=seconds,
        events=events[0],
        grown=grown,
        left={what: max(0, count) for what, count in left.items()},
    )


async def soak(url: str, plan: Plan, events: list[int], wrong: list[str]) -> list[str]:
    keys = Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
    once = RetryPolicy(max_attempts=1)
    async with Client(
        region=REGION, endpoint_url=url, credentials=keys, retry=once, max_connections=plan.at_once
    ) as client:
        turn = asyncio.Semaphore(plan.at_once)

        async def one(fate: Fate) -> str:
            async with turn:
                return await judged(client, fate, events, wrong)

        outcomes = await asyncio.gather(*map(one, fates(plan)))
        if client.stats().open_streams or client.stats().waiting:
            wrong.append(f"slots are still taken: {client.stats()}")
    return outcomes


class Held(NamedTuple):
    """What there is of what must go."""

    open: Open
    streams: int
    blocks: int


async def settled() -> Held:
    """What there is once nothing more goes."""
    last = None
    for _ in range(20):
        gc.collect()
        now = Open.now(), streams_alive()
        if now == last:
            break
        last = now
        await asyncio.sleep(0.05)
    return Held(*now, sys.getallocatedblocks())


def streams_alive() -> int:
    """Streams, and answers under them, that are in memory; a caller of `run` may keep some of its own."""
    return sum(type(thing) in (Stream, HttpResponse) for thing in gc.get_objects())


def room_for(descriptors: int) -> None:
    """Raise the soft limit of open files as far as need be and may be."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < descriptors:
        most = descriptors if hard == resource.RLIM_INFINITY else min(descriptors, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


# --------------------------------------------------------------------------------------------------- the other process


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[tuple[str, Callable[[], Any]]]:
    """An emulator in a process of its own: its address, and what tells what is open there once all is quiet."""
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.soak",
        "--serve",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    url = (await server.stdout.readline()).decode().strip()

    async def report() -> dict[str, int]:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(b"report\n")
        found: dict[str, int] = json.loads(await server.stdout.readline())
        return found

    try:
        yield url, report
    finally:
        server.stdin.close()  # which ends it, as the end of this process would
        await server.wait()


def befall(request: ReceivedRequest) -> Step | None:
    """The fault that a prompt asks for."""
    asked = re.search(rb"fault=(\w+) at=([\d.]+)", request.body)
    return unscripted(FAULTS[asked[1].decode()][0], at=float(asked[2])) if asked else None


async def serve() -> None:
    room_for(20_000)
    before = open_sockets()
    async with Emulator(script=befall, keep_requests=0) as emulator:
        print(emulator.url, flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            await emulator.wait_until_idle()
            await asyncio.sleep(0.2)
            print(json.dumps({"open": emulator.open_streams, "sockets": open_sockets() - before - 1}), flush=True)


# --------------------------------------------------------------------------------------------------------- on a console


def show(plan: Plan, figures: Figures) -> None:
    print(f"{plan.streams} streams, {plan.at_once} at once, seed {plan.seed}; Python {sys.version.split()[0]}")
    print(f"{figures.events} events in {figures.seconds:.1f} s\n")
    for outcome, count in sorted(figures.outcomes.items(), key=lambda item: -item[1]):
        print(f"  {outcome:28} {count:7}")
    print(f"\n  {'ended otherwise than due':28} {len(figures.wrong):7}")
    print(f"  {'warned of a drop':28} {figures.warned:7}  of {figures.outcomes['dropped']}")
    for what, count in figures.left.items():
        print(f"  {'left: ' + what:31} {count:4}")
    print(f"  {'growth in blocks of memory':28} {figures.grown:7}")
    for line in figures.wrong[:10]:
        print(f"\n{line}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = Plan()
    for name in Plan.__struct_fields__:
        value = getattr(defaults, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = vars(parser.parse_args())
    if given.pop("serve"):
        asyncio.run(serve())
        return
    factory = None
    if given.pop("uvloop"):
        import uvloop

        factory = uvloop.new_event_loop
    plan = Plan(**given)
    with asyncio.Runner(loop_factory=factory) as runner:
        figures = runner.run(run(plan))
    show(plan, figures)
    sys.exit(not figures.clean)


if __name__ == "__main__":
    main()
