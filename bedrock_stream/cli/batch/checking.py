"""`--check`: read all lines, and say what is wrong with them and what they may cost. `--dry-run`: the first request.

Both plan the requests as the run would, and send nothing.
"""

from __future__ import annotations

from collections import deque

import msgspec

from ...batch.asks import Ask, read_ask
from ...batch.bodies import is_streamed
from ...batch.formats import Entry
from ...client.client import Client
from ...client.pricing import Price, cost_of, price_for
from ...client.reports import Explanation
from ...dialects.encoding import encode_body
from ...errors import BedrockStreamError, ConfigurationError
from ...request.models import describe
from ...request.token_estimate import Estimate, estimate_tokens
from ...types.events import Usage
from ..exit_codes import SOME_FAILED
from ..explain import show
from ..terminal import one_line
from .running import make_client, open_rows
from .settings import BatchSettings, read_prices
from .source import Source

__all__ = ("check", "dry_run")

_MOST_SHOWN = 20
# Of AWS's own batch jobs: the default quotas "records per job" (least and most) and "input file size", in bytes.
_JOB_RECORDS, _JOB_BYTES = (100, 50_000), 1_000_000_000


async def check(settings: BatchSettings) -> int:
    """Read all lines and print what is found. Return the exit code. Raises `ConfigurationError`, `OSError`."""
    source = Source(settings.source)
    rows = open_rows(settings, source)
    try:
        async with Client(api_key="not used", region=settings.region, prices=read_prices(settings.prices)) as client:
            model = settings.model or await rows.first_model()
            findings = _Findings(settings, client, model, read_prices(settings.prices))
            async for entry in rows.entries():
                findings.add(entry)
    finally:
        source.close()
    print("\n".join(map(one_line, findings.report())))
    return SOME_FAILED if findings.bad else 0


async def dry_run(settings: BatchSettings) -> int:
    """Print the request of the first row. Return the exit code. Raises what keeps it from being sent."""
    source = Source(settings.source)
    rows = open_rows(settings, source)
    try:
        async with make_client(settings) as client:
            model = settings.model or await rows.first_model()
            async for entry in rows.entries():
                if not isinstance(entry.item, Ask):
                    raise entry.item
                request = _explained(client, settings, model, read_ask(entry.item, entry.line.number))
                show(request, as_json=settings.as_json)
                return 0
    finally:
        source.close()
    raise ConfigurationError("IN", f"{settings.source} has no rows")


class _Findings:
    """What a check has found so far."""

    def __init__(self, settings: BatchSettings, client: Client, model: str, prices: dict[str, Price] | None) -> None:
        self._settings = settings
        self._client = client
        self._model = model
        self._prices = prices
        self._names: dict[str, int] = {}
        self._bytes = 0
        self._input = 0.0
        self._output: int | None = 0
        self._cost: float | None = 0.0
        self._problems: deque[str] = deque(maxlen=_MOST_SHOWN)
        self.rows: int = 0
        """How many lines there are."""
        self.bad: int = 0
        """How many of them cannot be sent."""

    def add(self, entry: Entry) -> None:
        """Check a line."""
        self.rows += 1
        self._bytes += entry.line.length + 1
        try:
            if not isinstance(entry.item, Ask):
                raise entry.item
            ask = read_ask(entry.item, entry.line.number)
            self._check_name(ask, entry.line.number)
            body = ask.body or _explained(self._client, self._settings, self._model, ask).body
            self._estimate(ask, estimate_tokens(encode_body(body)))
        except BedrockStreamError as error:
            self.bad += 1
            if len(self._problems) < _MOST_SHOWN:
                self._problems.append(_words(error, entry))

    def report(self) -> list[str]:
        """Return the findings in lines."""
        lines = [*self._problems]
        if self.bad > len(lines):
            lines.append(f"... and {self.bad - len(lines):,} more")
        lines.append(f"{self.rows:,} rows, {self.bad:,} of them cannot be sent")
        output = "an unknown number of" if self._output is None else f"at most {self._output:,}"
        lines.append(f"tokens: about {round(self._input):,} in, {output} out")
        if self._prices is not None:
            lines.append("cost: unknown" if self._cost is None else f"cost: at most {self._cost:,.4g}")
        least, most = _JOB_RECORDS
        if self.rows < least:
            lines.append(f"a batch job of AWS takes {least} rows or more")
        elif self.rows > most or self._bytes > _JOB_BYTES:
            lines.append(f"a batch job of AWS takes {most:,} rows and files of {_JOB_BYTES:,} bytes at most")
        return lines

    def _check_name(self, ask: Ask, number: int) -> None:
        if ask.key is None:
            return
        first = self._names.setdefault(ask.key, number)
        if first != number:
            raise ConfigurationError(f"line {number}", f"has the id {ask.key!r} of line {first}", "make the ids unique")

    def _estimate(self, ask: Ask, estimate: Estimate) -> None:
        model = describe(ask.model or self._model)
        most = estimate.max_tokens or model.facts.max_output
        self._input += estimate.input_tokens
        self._output = None if most is None or self._output is None else self._output + most
        usage = None if most is None else Usage(input_tokens=round(estimate.input_tokens), output_tokens=most)
        cost = cost_of(usage, price_for(model, self._prices or {}))
        self._cost = None if cost is None or self._cost is None else self._cost + cost


def _words(error: BedrockStreamError, entry: Entry) -> str:
    """Return a problem with the number of its line."""
    words = str(error).replace(f"prompts[{entry.line.number}]", f"line {entry.line.number}", 1)
    return words if words.startswith("line ") else f"line {entry.line.number}: {words}"


def _explained(client: Client, settings: BatchSettings, model: str, ask: Ask) -> Explanation:
    """Return what would be sent for a row. Raises `ConfigurationError`."""
    model = ask.model or model
    if ask.body is None:
        return client.explain(model, ask.prompt, **{**settings.options, **ask.options})
    described = describe(model)
    streamed = is_streamed(described, ask.body, converse=ask.converse, wanted=settings.stream)
    operation = {
        (True, True): "converse-stream",
        (True, False): "converse",
        (False, True): "invoke-with-response-stream",
        (False, False): "invoke",
    }[ask.converse, streamed]
    like = client.explain(model, "Hello", unsupported="drop")
    return msgspec.structs.replace(
        like,
        route="converse" if ask.converse else "invoke",
        reason="the body is the line's own",
        url=f"{like.url.rsplit('/', 1)[0]}/{operation}",
        body=dict(ask.body),
        changes=(),
    )
