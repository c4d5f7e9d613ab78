"""Chat in a terminal. Ctrl-C stops an answer and keeps what was written; an empty line ends the chat."""

import asyncio
import signal

from bedrock_stream import Client, Message, Stream

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


async def show(answer: Stream) -> None:
    async with answer:
        async for text in answer.text_stream:
            print(text, end="", flush=True)


async def answer_to(client: Client, history: list[Message]) -> None:
    """Print the answer, and append it to the history, whole or as far as it came."""
    answer = client.stream(MODEL, history, prompt_cache="auto", max_tokens=2000)
    task = asyncio.create_task(show(answer))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, task.cancel)  # not on Windows
    try:
        await task
    except asyncio.CancelledError:
        print(" [stopped]", end="")
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    if answer.partial is not None:
        history += answer.partial.to_history()
    print()


async def main() -> None:
    history: list[Message] = []
    async with Client() as client:
        while question := (await asyncio.to_thread(input, "> ")).strip():
            history.append(Message.user(question))
            await answer_to(client, history)


if __name__ == "__main__":
    asyncio.run(main())
