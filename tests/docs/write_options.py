"""Write `docs/reference/options.md` from the docstrings of the options.

python -m tests.docs.write_options > docs/reference/options.md

Names, values, defaults and meanings are the code's. Only what the code does not know is here: the guide that an option
belongs to, and the units of numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from tests.docs.option_docstrings import Field, client_fields, option_fields, settings_fields

__all__ = ("GUIDES", "render")

_AWS = "https://docs.aws.amazon.com/bedrock/latest/"

GUIDES: dict[str, str] = {
    **dict.fromkeys(("api_key", "access_key_id", "secret_access_key", "session_token"), "auth"),
    **dict.fromkeys(("credentials", "keys", "profile", "clock"), "auth"),
    **dict.fromkeys(("timeouts", "retry", "failover", "show_retries"), "reliability"),
    **dict.fromkeys(("adaptive_concurrency", "quotas"), "quotas"),
    **dict.fromkeys(("region", "endpoint_url", "use_fips", "use_dual_stack", "allow_http"), "auth"),
    **dict.fromkeys(("ssl", "proxy"), "auth"),
    **dict.fromkeys(("tools", "tool_choice"), "tools"),
    **dict.fromkeys(("reasoning", "effort", "anthropic_beta"), "reasoning"),
    **dict.fromkeys(("prompt_cache", "prompt_cache_ttl", "prompt_cache_messages"), "caching"),
    **dict.fromkeys(("anthropic_prompt_cache", "anthropic_prompt_cache_ttl", "anthropic_cache_messages"), "caching"),
    **dict.fromkeys(("api", "endpoint", "project", "store", "previous_response_id", "use_converse"), "surfaces"),
    **dict.fromkeys(("base_model", "models", "prompt_variables"), "surfaces"),
    **dict.fromkeys(("unsupported", "temperature", "top_p", "top_k", "stop_sequences", "max_tokens"), "families"),
    **dict.fromkeys(("additional_model_request_fields", "response_field_paths", "extra"), "surfaces"),
    **dict.fromkeys(("performance", "service_tier"), "surfaces"),
    **dict.fromkeys(("max_connections", "keep"), "performance"),
    **dict.fromkeys(("observers", "request_metadata", "prices"), "tracing"),
    **dict.fromkeys(("guardrail", "system", "provider_options"), "messages"),
    "output_schema": "structured-output",
}
"""The guide of each option of a call and each argument of `Client`."""

_UNITS: dict[str, str] = {
    **dict.fromkeys(("base", "cap", "total", "patience"), "seconds"),
    **dict.fromkeys(("max_tokens", "reasoning"), "tokens"),
}


class _Table(NamedTuple):
    title: str
    head: str
    fields: Iterable[Field]
    guide: str = ""
    """The guide of all its options; if empty, each has its own in `GUIDES`."""
    unit: str = ""
    """The unit of all its numbers; if empty, see `_UNITS`."""


_HEAD = """\
---
hide:
  - toc
---

# Options

This page is generated from the docstrings, by `python -m tests.docs.write_options > docs/reference/options.md`.
Editors show the same texts. An unknown option raises `ConfigurationError`, which names the most similar one, and so
does an invalid value; None is the same as left out.
"""
_CALL = """\
Keyword arguments of `stream`, `generate`, `Client.run_tools`, `Client.map`, `Client.explain` and `Client.count_tokens`,
as the type `CallOptions`. They may also be given as `provider_options={...}`.

`Client.invoke_stream` and `Client.invoke` send the caller's own body, and take only those marked with ¹.
"""
_CLIENT = """\
Keyword arguments of `Client(...)`. They hold for all its calls.
"""
_TIMEOUTS = """\
`Timeouts(total=30, idle=None)`, for a client or for a call; None disables a limit. Those of a call replace all of its
client's. Each limit raises an [error](errors.md) of its own.
"""
_RETRY = """\
`RetryPolicy(max_attempts=2)`, for a client or for a call. Which errors are retried is in the [errors](errors.md).
"""
_TARGET = """\
`Target(region="us-west-2")`, in the list `failover` of a client or of a call. What is left out is as in the call.
"""


def render() -> str:
    """Return the page in Markdown."""
    tables = (
        _Table("Options of a call", _CALL, option_fields()),
        _Table("Client", _CLIENT, client_fields()),
        _Table("Timeouts", _TIMEOUTS, settings_fields("Timeouts"), "reliability", "seconds"),
        _Table("RetryPolicy", _RETRY, settings_fields("RetryPolicy"), "reliability"),
        _Table("Target", _TARGET, settings_fields("Target"), "reliability"),
    )
    return "\n".join([_HEAD, *(_section(table) for table in tables)])


def _section(table: _Table) -> str:
    lines = ["| Option | Values | Default | Meaning | Guide |", "|---|---|---|---|---|"]
    lines += [_row(field, table) for field in table.fields]
    return "\n".join([f"## {table.title}\n", table.head, *lines, ""])


def _row(field: Field, table: _Table) -> str:
    mark = "¹" if field.raw else ""
    unit = table.unit or _UNITS.get(field.name, "")
    values = f"{field.values} in {unit}" if unit else field.values
    guide = table.guide or GUIDES[field.name]
    meaning = _SOURCE.sub(_link, field.meaning)
    link = f"[{guide}](../guides/{guide}.md)"
    return f"| **{field.name}**{mark} | {values} | {field.default} | {meaning} | {link} |"


_SOURCE = re.compile(r" Source: (\S+\.html)\.")


def _link(match: re.Match[str]) -> str:
    return f" [AWS]({_AWS}{match[1]})"


if __name__ == "__main__":
    print(render(), end="")
