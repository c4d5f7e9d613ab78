"""A worker: many documents are classified, some at once, throttled calls are repeated, and the tokens are counted."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

from pydantic import BaseModel

from bedrock_stream import BedrockStreamError, Client, Response, RetryPolicy, Timeouts, Usage, errors

MODEL = "amazon.nova-lite-v1:0"


class Label(BaseModel):
    topic: str
    urgent: bool = False


class Report:
    """The labels by the documents' positions, and how many documents have none, by reason."""

    def __init__(self) -> None:
        self.labels: dict[int, Label] = {}
        self.failed: Counter[str] = Counter()
        self.usages: list[Usage] = []

    @property
    def usage(self) -> Usage | None:
        """The tokens of all answers; None before the first."""
        return sum(self.usages[1:], self.usages[0]) if self.usages else None

    def add(self, index: int, answer: Response[Label]) -> None:
        if answer.usage is not None:
            self.usages.append(answer.usage)
        if answer.parsed is None:
            self.failed[f"no label: {answer.stop_reason}"] += 1
        else:
            self.labels[index] = answer.parsed


async def classify(client: Client, documents: Iterable[str], *, concurrency: int = 32) -> Report:
    """Classify the documents. A document whose call fails is counted, and the others go on."""
    report, slots = Report(), asyncio.Semaphore(concurrency)
    retry, timeouts = RetryPolicy(max_attempts=6, base=0.01), Timeouts(total=120)

    async def work(index: int, document: str) -> None:
        prompt = f"What is this about?\n\n{document}"
        async with slots:
            try:
                answer = await client.generate(MODEL, prompt, output_schema=Label, retry=retry, timeouts=timeouts)
            except TimeoutError:
                report.failed["too slow"] += 1
            except errors.ValidationFailed as error:
                report.failed[f"refused: {error.option or error.code}"] += 1
            except BedrockStreamError as error:
                report.failed[type(error).__name__] += 1
            else:
                report.add(index, answer)

    async with asyncio.TaskGroup() as group:
        for index, document in enumerate(documents):
            group.create_task(work(index, document))
    return report
