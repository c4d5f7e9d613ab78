"""Share of a quota that is used, the throttles that it takes, and the cost of a reservation.

The service keeps a quota of requests or tokens a minute and answers after 50 ms. Fifty workers ask as fast as they may:
with a `Quota` of the same limits, and with nothing but learned concurrency (`RetryPolicy(patience=...)`). In the second
part three processes of fifty workers share one quota of the account: with a `RedisQuota`, with a `Quota` of a third
each, and with learned concurrency alone. "Used" is what the service answered in the steady part, in percent of the
quota; "throttled" is the part of all requests that it refused.

The cost is that of one reservation and its settlement, with nobody waiting. The cases with Redis need redis-py and a
`redis-server`. Each case runs once.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import msgspec

from bedrock_stream import Quota, Usage

from .askers import Asking, Limits, ask_until, serving, watched
from .measure import OURS, Lab, Row, Sample, Setting

__all__ = ("ask", "trial")

_USED, _THROTTLED, _CPU, _WALL = "% used", "% throttled", "us CPU", "us"
_LIMITS = {"rpm": Limits(rpm=1800), "tpm": Limits(tpm=60_000)}
_PROCESSES = 3
_SECONDS = {False: (4.0, 15.0), True: (0.2, 0.3)}  # warm-up and steady part, by whether it is a smoke run


def ask(lab: Lab) -> None:
    """Run all cases."""
    has_redis = shutil.which("redis-server") is not None and find_spec("redis") is not None
    quick = int(lab.quick)
    for kind in ("memory", "redis")[: 1 + has_redis]:
        sample = lab.trial("quota", Setting(case=f"cost {kind}", events=lab.pick(20_000, 100)))
        most = {"memory": {_CPU: 5.0}, "redis": {_CPU: 250.0}}[kind]
        _add(lab, f"reserve and settle, {kind}", OURS, sample, most=most)
    for name in _LIMITS if not quick else ("rpm",):
        for way in ("quota", "learned") if not quick else ("quota",):
            sample = lab.trial("quota", Setting(case=f"one {way} {name}", pace_ms=quick))
            _add(lab, f"one process, {name}", OURS if way == "quota" else way, sample)
    for way in ("redis", "thirds", "learned")[not has_redis : 1 if quick else 3]:
        sample = lab.trial("quota", Setting(case=f"many {way} rpm", pace_ms=quick))
        _add(lab, f"{_PROCESSES} processes, rpm", f"{OURS}, Redis" if way == "redis" else way, sample)


def _add(lab: Lab, case: str, contender: str, sample: Sample, most: dict[str, float] | None = None) -> None:
    is_ours = contender.startswith(OURS)
    limits = {**(most or {}), _THROTTLED: 1.0}
    for unit, value in sample.figures.items():
        row = Row(question="quota", case=case, contender=contender, unit=unit, value=value)
        lab.add(
            row,
            least=95.0 if is_ours and unit == _USED else None,
            most=limits.get(unit) if is_ours else None,
        )


def trial(setting: Setting) -> Sample:
    """Run one case."""
    kind, way, *name = setting.case.split()
    if kind == "cost":
        return asyncio.run(_cost(way, setting.events))
    seconds = _SECONDS[bool(setting.pace_ms)]
    run = _one if kind == "one" else _many
    return asyncio.run(run(way, _LIMITS[name[0]], *seconds))


async def _cost(kind: str, count: int) -> Sample:
    usage = Usage(input_tokens=10, output_tokens=20)
    with redis_server() if kind == "redis" else contextlib.nullcontext("") as url:
        quota = _quota(url, Limits(rpm=1e9, tpm=1e12))
        count = count if kind == "memory" else max(10, count // 10)
        await (await quota.reserve(100)).settle(usage)
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            await (await quota.reserve(100)).settle(usage)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if kind == "redis":
            await quota.aclose()
    return Sample({_WALL: wall / count * 1e6, _CPU: cpu / count * 1e6})


def _quota(url: str, limits: Limits) -> Any:
    if not url:
        return Quota(rpm=limits.rpm, tpm=limits.tpm)
    from bedrock_stream.integrations.redis import RedisQuota

    return RedisQuota(url, "cost", rpm=limits.rpm, tpm=limits.tpm)


async def _one(way: str, limits: Limits, warm: float, steady: float) -> Sample:
    async with serving(limits) as emulator:
        asking = Asking(url=emulator.url, way=way, limits=limits, seconds=warm + steady + 1)
        window, _ = await asyncio.gather(watched(emulator, limits, warm, steady), ask_until(asking))
    return Sample({_USED: window.share, _THROTTLED: window.throttled})


async def _many(way: str, limits: Limits, warm: float, steady: float) -> Sample:
    assert limits.rpm is not None
    own = Limits(rpm=limits.rpm / _PROCESSES) if way == "thirds" else limits
    with redis_server() if way == "redis" else contextlib.nullcontext("") as url:
        async with serving(limits) as emulator:
            asking = Asking(
                url=emulator.url,
                way="quota" if way == "thirds" else way,
                limits=own,
                seconds=warm + steady + min(3.0, steady),
                redis=url,
            )
            command = [sys.executable, "-m", "benchmarks.askers", msgspec.json.encode(asking).decode()]
            workers = [await asyncio.create_subprocess_exec(*command, stdout=-1) for _ in range(_PROCESSES)]
            window = await watched(emulator, limits, warm, steady)
            for worker in workers:
                await worker.communicate()
    return Sample({_USED: window.share, _THROTTLED: window.throttled})


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """Start a Redis of this benchmark's own and yield its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        options = {"port": port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": folder}
        command = ["redis-server", *(word for name, value in options.items() for word in (f"--{name}", str(value)))]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            for _ in range(500):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                time.sleep(0.01)
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()
