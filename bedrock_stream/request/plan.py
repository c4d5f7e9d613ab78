"""From what a caller said to what will be sent: the steps in their order, pure.

options -> messages -> the family's own words -> cache points -> the conversation mended -> the route -> the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..dialects.native import native_body, native_headers
from ..types.messages import Prompt, read_prompt
from ..types.options import Options, read_options
from .cache_points import check_cache_points, place_cache_points
from .conversation import check_sizes, normalize_conversation
from .http import EVENT_STREAM
from .models import Model, describe
from .output_schema import OutputSchema
from .route import Route, choose_route
from .vendor_fields import with_vendor_fields

__all__ = ("Plan", "make_plan")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A call, but for where it goes and who signs it."""

    model: Model
    options: Options
    route: Route
    operation: str
    headers: tuple[tuple[str, str], ...]
    body: dict[str, Any]
    output: OutputSchema | None


def make_plan(model: str, prompt: Prompt, given: Mapping[str, Any], *, stream: bool) -> Plan:
    """Raises `ConfigurationError`, with the place, for everything that can be known to be wrong."""
    described = describe(model)
    options = with_vendor_fields(described, read_options(given))
    output = None
    if options.output_schema is not None:
        output = OutputSchema(options.output_schema, described)
        options = output.ask(options, described)
    messages, options = place_cache_points(described, read_prompt(prompt), options)
    check_cache_points(messages, options)
    messages, options = normalize_conversation(messages, options)
    route = choose_route(described, messages, options)
    body = route.dialect.body(route.messages, options)
    accept = EVENT_STREAM if stream else "application/json"
    headers: tuple[tuple[str, str], ...] = (("Accept", accept),)
    if route.dialect.route == "invoke":
        body = native_body(body, options)
        headers += native_headers(options)
        if stream:  # what the model shall write; `Accept` is about the frames around it
            headers += (("X-Amzn-Bedrock-Accept", "application/json"),)
    else:
        check_sizes(messages)
    dialect = route.dialect
    return Plan(
        model=described,
        options=options,
        route=route,
        operation=dialect.stream_operation if stream else dialect.operation,
        headers=headers,
        body=body,
        output=output,
    )
