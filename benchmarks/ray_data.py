"""What Ray costs: until the first answer, and in rows a second, against one process with as many rows in flight.

    python -m benchmarks.ray_data [--rows 8000]

A service in a process of its own answers each row after 0.2 s. Two actors of 100 rows each, with a journal, are
compared with `Client.map` of 200 rows. "Steady" is the rate from 30 % to 80 % of the answers. Needs the extra `ray`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from bedrock_stream import Client

_MODEL = "amazon.nova-lite-v1:0"
_SECONDS = 0.2
_ANSWER = json.dumps(
    {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello. " * 20}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12},
        "metrics": {"latencyMs": 200},
    }
).encode()
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_ANSWER)


class _Peer(asyncio.Protocol):
    """One connection; a request comes in one or two pieces, and ends with the body's last brace."""

    def __init__(self, moments: list[float]) -> None:
        self._moments = moments
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]):
            self._received = b""
            asyncio.get_running_loop().call_later(_SECONDS, self._answer)

    def _answer(self) -> None:
        self._moments.append(time.time())
        self._transport.write(_HEAD + _ANSWER)


def _serve(pipe: Connection) -> None:
    """Serve until the other end of the pipe closes; send the moments of all answers since the last question."""

    async def main() -> None:
        moments: list[float] = []
        server = await asyncio.get_running_loop().create_server(lambda: _Peer(moments), "127.0.0.1", 0, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        while await asyncio.to_thread(pipe.recv):
            pipe.send(moments[:])
            moments.clear()

    asyncio.run(main())


@contextmanager
def _service() -> Iterator[Connection]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    os.environ["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"] = f"http://127.0.0.1:{ours.recv()}"
    os.environ["AWS_BEARER_TOKEN_BEDROCK"] = "key"
    yield ours
    ours.send(False)
    process.join(5)


def _steady(pipe: Connection) -> tuple[float, float]:
    """Return the moment of the first answer, and the rows a second of the steady part."""
    pipe.send(True)
    moments = sorted(pipe.recv())
    first, last = int(len(moments) * 0.3), int(len(moments) * 0.8)
    return moments[0], (last - first) / (moments[last] - moments[first])


async def _one_process(prompts: list[str], journal: str) -> None:
    async with (
        Client(max_connections=200) as client,
        client.map(_MODEL, prompts, concurrency=200, journal=journal, max_tokens=50) as rows,
    ):
        async for row in rows:
            assert row.error is None


def main() -> None:
    """Run both, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=8000)
    prompts = [f"question {index}" for index in range(parser.parse_args().rows)]
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with _service() as pipe, tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as folder:
        asyncio.run(_one_process(prompts, f"{folder}/one.jsonl"))
        alone = _steady(pipe)[1]
        began = time.time()
        import ray
        import ray.data

        from bedrock_stream.integrations.ray import ask

        imported = time.time()
        ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", _temp_dir=f"{folder}/ray")
        started = time.time()
        ds = ray.data.from_items([{"question": prompt} for prompt in prompts], override_num_blocks=len(prompts) // 200)
        told: Any = {"model": _MODEL, "prompt": "question", "journal": f"{folder}/run", "max_tokens": 50}
        assert not any(row["error"] for row in ask(ds, workers=2, concurrency=100, **told).take_all())
        ended = time.time()
        first, together = _steady(pipe)
        ray.shutdown()
    print(f"import {imported - began:.1f} s, ray.init {started - imported:.1f} s, first answer {first - began:.1f} s")
    print(f"{len(prompts)} rows with Ray: {ended - began:.1f} s in all")
    print(f"steady: {alone:.0f} rows/s in one process at 200, {together:.0f} with Ray at 2 x 100")


if __name__ == "__main__":
    main()
