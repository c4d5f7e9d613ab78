"""Extract an invoice from a text, and show it while it is written. Needs the extra `structured`."""

import asyncio
import sys

import msgspec

from bedrock_stream import Client

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
LETTER = "Please transfer 1,250.00 EUR to Harbour Books, for three atlases at 400 EUR and one map at 50 EUR."


class Item(msgspec.Struct):
    description: str
    quantity: int
    price: float


class Invoice(msgspec.Struct):
    sender: str
    currency: str
    items: list[Item]


async def extract(client: Client, text: str) -> Invoice:
    prompt = f"Extract the invoice from this letter:\n\n{text}"
    async with client.stream(MODEL, prompt, output_schema=Invoice) as answer:
        async for snapshot in answer.parsed_stream:
            print("\r\x1b[K", snapshot.value, end="", file=sys.stderr)
        response = await answer.response()
    print(file=sys.stderr)
    if response.parsed is None:
        raise ValueError(f"no invoice: {response.parse_error}")
    return response.parsed


async def main() -> None:
    async with Client() as client:
        invoice = await extract(client, LETTER)
    for item in invoice.items:
        print(f"{item.quantity:>4} x {item.description}: {item.price:.2f} {invoice.currency}")


if __name__ == "__main__":
    asyncio.run(main())
