"""Summarize many files: `python summarize_files.py summaries.jsonl *.txt`.

Throttling pauses the batch and fails no file. A second start asks only what the first has not answered.
"""

import asyncio
import json
import sys
from pathlib import Path

from bedrock_stream import Ask, Client, Stop

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


async def summarize(client: Client, paths: list[Path], out: Path) -> int:
    """Write a line for each file and return how many of them failed."""
    asks = [Ask(f"Summarize in one sentence:\n\n{path.read_text('utf-8')}", key=str(path)) for path in paths]
    journal = out.with_suffix(".journal")
    failed = 0
    batch = client.map(MODEL, asks, concurrency=50, max_tokens=200, journal=journal, stop=Stop(failures=20))
    async with batch as rows:
        with out.open("w", encoding="utf-8") as lines:
            async for row in rows:
                if row.error is None:
                    lines.write(json.dumps({"file": row.key, "summary": row.response.text}) + "\n")
                else:
                    failed += 1
                    print(f"{row.key}: {row.error}", file=sys.stderr)
    return failed


async def main() -> int:
    out, *paths = map(Path, sys.argv[1:])
    async with Client() as client:
        return await summarize(client, paths, out)


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(main()) else 0)
