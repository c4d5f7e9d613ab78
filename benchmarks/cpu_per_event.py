"""How much CPU does one streamed event cost, from its frame to a typed event, and through the whole client?

Two pairs, each contender in its own process, taking turns: our decoder and dialect against botocore's `EventStream` on
the same bytes in the same 4 KiB reads, and our client against aiobotocore on the same answer from a server in a third
process that sends as fast as it can. They must agree on the text before any figure counts. Ratios are medians of five
rounds; figures of different runs on a shared machine do not compare.

    python -m benchmarks.cpu_per_event [--events 20000] [--rounds 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import importlib.metadata
import json
import multiprocessing
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from bedrock_stream.eventstream import Frame, encode_frame

MODEL = "amazon.nova-lite-v1:0"
READ = 4096
PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
Result = tuple[str, int, float]  # text's hash, events, CPU seconds


def answer(events: int) -> bytes:
    """A recorded-looking answer: text deltas of some 180 bytes a frame."""
    frames = [_frame("messageStart", {"role": "assistant"})]
    for number in range(events):
        delta = {"contentBlockIndex": 0, "delta": {"text": f" word{number}"}, "p": PADDING[: number % 62]}
        frames.append(_frame("contentBlockDelta", delta))
    frames.append(_frame("contentBlockStop", {"contentBlockIndex": 0}))
    frames.append(_frame("messageStop", {"stopReason": "end_turn"}))
    usage = {"inputTokens": 1, "outputTokens": events, "totalTokens": events + 1}
    frames.append(_frame("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}))
    return b"".join(frames)


def _frame(kind: str, body: dict[str, Any]) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return encode_frame(Frame(dict(headers), json.dumps(body, separators=(",", ":")).encode()))


def _reads(data: bytes) -> Iterator[bytes]:
    return (data[start : start + READ] for start in range(0, len(data), READ))


def _hash(pieces: list[str]) -> str:
    return hashlib.sha256("".join(pieces).encode()).hexdigest()[:16]


# ----------------------------------------------------------------------------------------------------------- contenders


def decode_ours(events: int, _url: str) -> Result:
    from bedrock_stream import TextDelta
    from bedrock_stream.dialects.converse import Converse
    from bedrock_stream.eventstream import Decoder

    reads = list(_reads(answer(events)))
    pieces: list[str] = []
    count = 0
    began = time.process_time()
    decoder, reader, ready = Decoder(), Converse().reader(), deque[Any]()
    for read in reads:
        reader.feed(decoder.feed(read), ready)
        count += len(ready)
        pieces += [event.text for event in ready if type(event) is TextDelta]
        ready.clear()
    decoder.finish()
    return _hash(pieces), count, time.process_time() - began


def decode_botocore(events: int, _url: str) -> Result:
    import botocore.session
    from botocore.eventstream import EventStream
    from botocore.parsers import EventStreamJSONParser

    class Raw:
        def __init__(self, reads: list[bytes]) -> None:
            self._reads = reads

        def stream(self) -> Iterator[bytes]:
            yield from self._reads

    model = botocore.session.get_session().get_service_model("bedrock-runtime")
    shape = model.operation_model("ConverseStream").output_shape.members["stream"]
    reads = list(_reads(answer(events)))
    pieces: list[str] = []
    count = 0
    began = time.process_time()
    for event in EventStream(Raw(reads), shape, EventStreamJSONParser(), "ConverseStream"):
        count += 1
        if "contentBlockDelta" in event:
            pieces.append(event["contentBlockDelta"]["delta"]["text"])
    return _hash(pieces), count, time.process_time() - began


def client_ours(_events: int, url: str) -> Result:
    from bedrock_stream import Client, Credentials, TextDelta

    async def run() -> Result:
        async with Client(region="us-east-1", endpoint_url=url, credentials=Credentials("AKID", "secret")) as client:
            await client.stream(MODEL, "warm up").response()
            pieces: list[str] = []
            count = 0
            began = time.process_time()
            async with client.stream(MODEL, "Hi") as stream:
                async for event in stream:
                    count += 1
                    if type(event) is TextDelta:
                        pieces.append(event.text)
            return _hash(pieces), count, time.process_time() - began

    return asyncio.run(run())


def client_aiobotocore(_events: int, url: str) -> Result:
    from aiobotocore.session import get_session

    async def run() -> Result:
        keys = {"aws_access_key_id": "AKID", "aws_secret_access_key": "secret"}
        created = get_session().create_client("bedrock-runtime", region_name="us-east-1", endpoint_url=url, **keys)
        messages = [{"role": "user", "content": [{"text": "Hi"}]}]
        async with created as client:
            async for _ in (await client.converse_stream(modelId=MODEL, messages=messages))["stream"]:
                pass
            pieces: list[str] = []
            count = 0
            began = time.process_time()
            async for event in (await client.converse_stream(modelId=MODEL, messages=messages))["stream"]:
                count += 1
                if "contentBlockDelta" in event:
                    pieces.append(event["contentBlockDelta"]["delta"]["text"])
            return _hash(pieces), count, time.process_time() - began

    return asyncio.run(run())


CONTENDERS: dict[str, Callable[[int, str], Result]] = {
    function.__name__: function for function in (decode_ours, decode_botocore, client_ours, client_aiobotocore)
}
PAIRS = [
    ("frame to typed event", "decode_ours", "decode_botocore"),
    ("whole client, burst", "client_ours", "client_aiobotocore"),
]

# --------------------------------------------------------------------------------------------------------------- server


def serve(events: int, port: Any) -> None:
    """Answer every request with the whole stream at once, in chunks of one read each."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(read), read) for read in _reads(answer(events)))
    body = head + chunks + b"0\r\n\r\n"

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                length = request.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length))
                writer.write(body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


# -------------------------------------------------------------------------------------------------------------- the run


def child(name: str, events: int, url: str) -> Result:
    """Run one contender in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.cpu_per_event", "--child", name, "--url", url, "--events", str(events)]
    text, count, seconds = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return text, count, seconds


def compare(ours: str, theirs: str, events: int, rounds: int, url: str) -> dict[str, float]:
    """Median CPU per event of each, and the median of the ratios of each round."""
    mine, others = [], []
    for _ in range(rounds):
        first, second = child(ours, events, url), child(theirs, events, url)
        assert first[:2] == second[:2], f"{ours} and {theirs} disagree: {first[:2]} and {second[:2]}"
        mine.append(first[2] / first[1] * 1e6)
        others.append(second[2] / second[1] * 1e6)
    ratios = [other / own for own, other in zip(mine, others, strict=True)]
    return {
        "ours_us": statistics.median(mine),
        "theirs_us": statistics.median(others),
        "ratio": statistics.median(ratios),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="write the figures there")
    parser.add_argument("--child", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(CONTENDERS[given.child](given.events, given.url)))
        return
    receiving, sending = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(given.events, sending), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{receiving.recv()}"
    versions = {name: importlib.metadata.version(name) for name in ("aiobotocore", "aiohttp", "botocore", "msgspec")}
    print(f"Python {sys.version.split()[0]}, {', '.join(f'{name} {version}' for name, version in versions.items())}")
    print(f"{given.events} events, medians of {given.rounds} rounds, CPU per event\n")
    figures = {}
    for question, ours, theirs in PAIRS:
        figures[question] = row = compare(ours, theirs, given.events, given.rounds, url)
        other = theirs.partition("_")[2]
        costs = f"ours {row['ours_us']:6.2f} us   {other} {row['theirs_us']:6.2f} us"
        print(f"{question:22} {costs}   x {row['ratio']:.1f}")
    server.terminate()
    server.join()
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump({"python": sys.version, "versions": versions, "figures": figures}, file, indent=2)


if __name__ == "__main__":
    main()
