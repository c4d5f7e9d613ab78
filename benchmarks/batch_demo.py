"""5,000 prompts on an emulator with 30 % faults and a quota: killed twice, finished.

Its output is in `docs/guides/batch.md`.

    python -m benchmarks.batch_demo

The faults are answers of 500, connections that are reset, and answers that are cut off in their middle.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from bedrock_stream.testing import Emulator, ReceivedRequest, chance, cut, http_error, reset

ROWS, RPM, CONCURRENCY = 5000, 3000, 64
MODEL = "amazon.nova-lite-v1:0"
COMMAND = f"bedrock-stream batch in.jsonl out.jsonl --model {MODEL} --concurrency {CONCURRENCY} --max-tokens 2000"


def item_of(request: ReceivedRequest) -> int:
    """Return which prompt a request asks."""
    found = re.search(r"Fact (\d+)", json.dumps(request.json))
    assert found is not None
    return int(found[1])


def recorded(folder: Path) -> int:
    """Return how many rows are in the journal."""
    path = folder / "out.jsonl.partial"
    return max(0, path.read_bytes().count(b"\n") - 1) if path.exists() else 0


async def run(folder: Path, emulator: Emulator, command: str, kill_at: int | None = None) -> None:
    """Run the command and print what it prints; kill it once so many rows are in the journal."""
    print(f"$ {command}", flush=True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bedrock_stream.cli", *command.split()[1:]),
        cwd=folder,
        env={"PATH": "", "PYTHONPATH": str(Path(__file__).parents[1]), **emulator.environ},
        stderr=asyncio.subprocess.STDOUT,
    )
    while process.returncode is None and (kill_at is None or recorded(folder) < kill_at):
        await asyncio.sleep(0.05)
        if kill_at is None:
            await process.wait()
    if process.returncode is None:
        process.send_signal(signal.SIGKILL)
        print(f"(SIGKILL, with {recorded(folder):,} rows in out.jsonl.partial)")
    print(f"(exit {await process.wait()})\n", flush=True)


def report(folder: Path, emulator: Emulator, kinds: Counter[str]) -> None:
    """Print what the emulator counted, and what is in the results."""
    results = [json.loads(line) for path in folder.glob("*t.jsonl") for line in path.read_bytes().splitlines()]
    answered = Counter(line["recordId"] for line in results if "modelOutput" in line)
    asked = Counter(map(item_of, emulator.requests))
    throttled, met, whole = emulator.quota.throttled, kinds["with"], kinds["without"]
    print(f"the emulator: {emulator.request_count:,} requests for {len(asked):,} prompts; {throttled:,} of them were")
    print(f"throttled, {met:,} met a fault, {whole:,} were answered")
    print(f"the results: {len(answered):,} answers, none twice: {set(answered.values()) == {1}}")


async def main() -> None:
    """Run the demo and print what the server counted."""
    faults = (http_error(500, "InternalServerException"), reset(), cut())
    script, kinds = chance(0.3, *faults, seed=16), Counter[str]()

    def play(request: ReceivedRequest) -> object:
        steps = script(request)
        kinds["without" if steps is None else "with"] += 1
        return steps

    with TemporaryDirectory() as name:
        folder = Path(name)
        lines = (json.dumps({"id": f"r{item}", "prompt": f"Fact {item}, please."}) for item in range(ROWS))
        (folder / "in.jsonl").write_text("\n".join(lines))
        async with Emulator(script=play, quota={"rpm": RPM, "burst": 0.1}, keep_requests=None) as emulator:
            await run(folder, emulator, COMMAND, kill_at=ROWS // 3)
            await run(folder, emulator, COMMAND, kill_at=2 * ROWS // 3)
            await run(folder, emulator, COMMAND)
            if (folder / "out.jsonl.failed.jsonl").exists():
                await run(folder, emulator, COMMAND.replace("in.jsonl out.jsonl", "out.jsonl.failed.jsonl rest.jsonl"))
            report(folder, emulator, kinds)


if __name__ == "__main__":
    asyncio.run(main())
