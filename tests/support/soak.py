"""Soak test: thousands of concurrent streams, some with each fault, some left early, all of them checked.

    python -m tests.support.soak --streams 10000 --at-once 2000 --cancel 0.2 --fault 0.5

The prompt of each stream names the fault that the emulator plays, so each outcome is compared with the expected one.
The emulator runs in its own process, so that only the client is measured here. Prints the figures, and exits with 1 if
a stream ended in an unexpected way, or if a socket, task, thread, warning or object is left. The same seed makes the
same plan. `test_soak` runs a small one.
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
    double_answer,
    flip_bit,
    garbage_chunk,
    hang_before_headers,
    http_error,
    late_fin,
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
"""The time limit, in seconds, of streams whose fault is silence."""

CACHED_BLOCKS = 5_000
"""Blocks of memory by which caches and free lists vary, however many streams there were."""

FAULTS: dict[str, tuple[Step, type[errors.BedrockStreamError] | None]] = {
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
    "garbage": (garbage_chunk(), errors.StreamInterrupted),
    "late_fin": (late_fin(), None),
    "late_fin_slow": (late_fin(0.2), None),
    "double_answer": (double_answer(), None),
}
"""Each fault with the error that it raises, or None if the stream ends normally.

`unsolicited` is not among them. With so many streams a connection is used again at once, and HTTP/1.1 cannot tell a
response that comes then from the one to the new request.
"""
LEAVE_BY = ("break", "drop", "close", "cancel", "timeout")
"""The ways to leave a stream early."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of a run."""

    streams: int = 10_000
    at_once: int = 2_000
    cancel: float = 0.2
    """The fraction of streams that are left early."""
    fault: float = 0.5
    """The fraction of streams that meet a fault, drawn evenly from all."""
    seed: int = 1


class Scenario(msgspec.Struct, frozen=True):
    """The plan for one stream."""

    fault: str | None
    leave: str | None
    position: float
    """The fraction of the response after which the fault occurs, or the stream is left."""
    converse: bool


class Figures(msgspec.Struct, kw_only=True):
    """The results of a run."""

    outcomes: Counter[str]
    wrong: list[str]
    """Streams that ended in an unexpected way."""
    warned: int
    """`ResourceWarning`s, one for each dropped stream."""
    seconds: float
    events: int
    grown: int
    """Growth in blocks of memory, most of which are smaller than 512 bytes."""
    left: dict[str, int]
    """Counts of what exists at the end and did not exist before."""

    @property
    def clean(self) -> bool:
        """True if every stream ended as expected and nothing is left."""
        return not self.wrong and not any(self.left.values()) and self.warned == self.outcomes["dropped"]


# ----------------------------------------------------------------------------------------------------------- one stream


def scenarios(plan: Plan) -> list[Scenario]:
    """Return the plan of each stream, the same for the same seed."""
    dice, kinds = Random(plan.seed), list(FAULTS)  # noqa: S311 - repeatable, and not for secrets
    plans = []
    for _ in range(plan.streams):
        drawn = int(dice.random() / plan.fault * len(kinds)) if plan.fault else len(kinds)
        leave: str | None = dice.choice(LEAVE_BY)
        fault = kinds[drawn] if drawn < len(kinds) else None
        if dice.random() >= plan.cancel:
            leave = None
        elif fault and leave == "drop":  # an error closes the stream, and a closed stream is dropped without a warning
            leave = "break"
        plans.append(Scenario(fault, leave, 0.2 + 0.6 * dice.random(), dice.random() < 0.5))
    return plans


def start(client: Client, scenario: Scenario) -> Stream:
    prompt = f"fault={scenario.fault} at={scenario.position:.3f}" if scenario.fault else "Tell me something."
    limits = Timeouts(connect=120, pool=None, first_event=120, idle=120)
    if scenario.fault == "stall":
        limits = msgspec.structs.replace(limits, idle=SILENCE)
    elif scenario.fault == "hang":
        limits = msgspec.structs.replace(limits, first_event=SILENCE)
    return client.stream(MODEL, prompt, use_converse=scenario.converse, timeouts=limits)


async def read_or_leave(client: Client, scenario: Scenario, events: list[int]) -> str:
    """Read or leave one stream as planned; return the outcome in one word."""
    stream = start(client, scenario)
    many = int(40 * scenario.position)
    try:
        match scenario.leave:
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
                async with asyncio.timeout(scenario.position):
                    await stream.response()
            case _:
                async with stream:
                    async for _ in stream:
                        if scenario.leave == "break" and stream.delivered == many:
                            return "left"
    except errors.BedrockStreamError as error:
        return type(error).__name__
    except (TimeoutError, asyncio.CancelledError):
        return "left"
    finally:
        events[0] += stream.delivered
    return "finished"


async def run_one(client: Client, scenario: Scenario, events: list[int], wrong: list[str]) -> str:
    """Run one stream, and note an unexpected outcome in `wrong`."""
    task = asyncio.ensure_future(read_or_leave(client, scenario, events))
    if scenario.leave == "cancel":
        asyncio.get_running_loop().call_later(scenario.position, task.cancel)
    try:
        outcome = await task
    except asyncio.CancelledError:  # before it began
        outcome = "left"
    error = FAULTS[scenario.fault][1] if scenario.fault else None
    expected = {"finished" if error is None else error.__name__}
    if scenario.leave is not None:  # the fault and leaving race
        expected |= {"left", "dropped"}
    if outcome not in expected:
        wrong.append(f"{scenario}: {outcome}, expected {' or '.join(sorted(expected))}")
    return outcome


# ------------------------------------------------------------------------------------------------------- a complete run


async def run(plan: Plan) -> Figures:
    """Run all streams of a plan, close the client, and count what is left."""
    raise_file_limit(4 * plan.at_once + 100)
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
        "blocks of memory": grown if grown > CACHED_BLOCKS else 0,
        "responses in the emulator": emulator["open"],
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

        async def one(scenario: Scenario) -> str:
            async with turn:
                return await run_one(client, scenario, events, wrong)

        outcomes = await asyncio.gather(*map(one, scenarios(plan)))
        if client.stats().open_streams or client.stats().waiting:
            wrong.append(f"slots are still taken: {client.stats()}")
    return outcomes


class Held(NamedTuple):
    """Counts of objects that must be freed."""

    open: Open
    streams: int
    blocks: int


async def settled() -> Held:
    """Return the counts once they no longer change."""
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
    """Return the number of streams and of HTTP responses in memory, which includes those of the caller of `run`."""
    return sum(type(thing) in (Stream, HttpResponse) for thing in gc.get_objects())


def raise_file_limit(descriptors: int) -> None:
    """Raise the soft limit of open files to `descriptors`, as far as the hard limit permits."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < descriptors:
        most = descriptors if hard == resource.RLIM_INFINITY else min(descriptors, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


# ---------------------------------------------------------------------------------------------------- the other process


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[tuple[str, Callable[[], Any]]]:
    """Run an emulator in its own process; yield its URL and a function that counts what is open when it is idle."""
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
        counts: dict[str, int] = json.loads(await server.stdout.readline())
        return counts

    try:
        yield url, report
    finally:
        server.stdin.close()  # stops it, as the end of this process would
        await server.wait()


def fault_of(request: ReceivedRequest) -> Step | None:
    """Return the fault that the prompt names, as an emulator script."""
    match = re.search(rb"fault=(\w+) at=([\d.]+)", request.body)
    return unscripted(FAULTS[match[1].decode()][0], at=float(match[2])) if match else None


async def serve() -> None:
    raise_file_limit(20_000)
    before = open_sockets()
    async with Emulator(script=fault_of, keep_requests=0) as emulator:
        print(emulator.url, flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            await emulator.wait_until_idle()
            await asyncio.sleep(0.2)
            print(json.dumps({"open": emulator.open_streams, "sockets": open_sockets() - before - 1}), flush=True)


# --------------------------------------------------------------------------------------------------------- command line


def show(plan: Plan, figures: Figures) -> None:
    print(f"{plan.streams} streams, {plan.at_once} at once, seed {plan.seed}; Python {sys.version.split()[0]}")
    print(f"{figures.events} events in {figures.seconds:.1f} s\n")
    for outcome, count in sorted(figures.outcomes.items(), key=lambda item: -item[1]):
        print(f"  {outcome:28} {count:7}")
    print(f"\n  {'unexpected outcomes':28} {len(figures.wrong):7}")
    print(f"  {'warnings of a drop':28} {figures.warned:7}  of {figures.outcomes['dropped']}")
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
    arguments = vars(parser.parse_args())
    if arguments.pop("serve"):
        asyncio.run(serve())
        return
    factory = None
    if arguments.pop("uvloop"):
        import uvloop

        factory = uvloop.new_event_loop
    plan = Plan(**arguments)
    with asyncio.Runner(loop_factory=factory) as runner:
        figures = runner.run(run(plan))
    show(plan, figures)
    sys.exit(not figures.clean)


if __name__ == "__main__":
    main()
