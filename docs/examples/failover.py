"""Ask with time limits, retries and a second target, and show which attempts it took."""

import asyncio
import sys

from bedrock_stream import Attempt, BedrockStreamError, Client, RetryPolicy, StreamInterrupted, Target, Timeouts

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def log(attempt: Attempt) -> None:
    print(f"attempt {attempt.number}: {attempt.error}", file=sys.stderr)


def make_client() -> Client:
    return Client(
        timeouts=Timeouts(first_content=20, idle=60, total=300),
        retry=RetryPolicy(max_attempts=4, on_retry=log),
        failover=[Target(model="amazon.nova-pro-v1:0")],
    )


async def ask(client: Client, question: str) -> str:
    async with client.stream(MODEL, question, max_tokens=500) as answer:
        try:
            async for text in answer.text_stream:
                print(text, end="", flush=True)
        except StreamInterrupted as error:  # after the first text, nothing is retried: it would be repeated
            print(f"\n[cut after {len(error.partial.text) if error.partial else 0} characters]", file=sys.stderr)
    return answer.partial.text if answer.partial else ""


async def main() -> int:
    async with make_client() as client:
        try:
            await ask(client, " ".join(sys.argv[1:]) or "Why is the sky blue?")
        except BedrockStreamError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return 1
    print()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
