"""Print an answer as it is written. `python stream_text.py "Why is the sky blue?"`"""

import asyncio
import sys

from bedrock_stream import stream

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


async def main(question: str) -> None:
    async with stream(MODEL, question, max_tokens=500) as answer:
        async for text in answer.text_stream:
            print(text, end="", flush=True)
        response = await answer.response()
    print()
    print(response.stop_reason, response.usage, file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "Why is the sky blue?"))
