"""From a caller's arguments to a `Call`: one request to one target, complete but for its authorization. Pure.

options -> vendor fields -> output schema -> cache points -> conversation -> route -> body -> headers -> request
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from ..dialects import Dialect
from ..dialects.encoding import Body
from ..dialects.native import native_body
from ..dialects.raw import Raw, RawConverse
from ..errors import ConfigurationError
from ..types.messages import Message, Prompt, read_prompt
from ..types.model_facts import ModelFacts
from ..types.options import Options
from ..types.settings import RetryPolicy, Target, Timeouts
from .cache_points import check_cache_points, place_cache_points
from .conversation import check_sizes, finish_for_converse, normalize_conversation
from .endpoints import BEDROCK_MANTLE, BEDROCK_RUNTIME, Endpoint, Service
from .http import Headers, Request, build_request, headers_for
from .models import Model, check_reachable, describe
from .output_schema import OutputSchema, fit_tools
from .route import Route, choose_route
from .supported import check_last_message, check_on_converse, check_options, check_thinking_turn
from .surfaces import adapt_model, check_surface, choose_count, choose_surface, other_prefix, prefix_of
from .unsupported import Refusals, Unsupported
from .vendor_fields import with_default_limit, with_vendor_fields

__all__ = (
    "Call",
    "Destination",
    "expand_options",
    "plan_call",
    "plan_count",
    "plan_own_body",
    "plan_raw",
    "write_body",
)

_RAW = Route(Raw(), "the body is the caller's own", ())
_RAW_CONVERSE = Route(RawConverse(), "the body is the caller's own, for Converse", ())

# The members of a Converse body that CountTokens takes.
_COUNTED = ("messages", "system", "toolConfig", "additionalModelRequestFields")


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """Where a call is sent, with whose credentials, and within what limits."""

    region: str
    endpoint: Endpoint
    service: Service = BEDROCK_RUNTIME
    key_source: Any = None
    """The call's or the target's own `auth.sources.KeySource`, opaque here; None for the client's."""
    timeouts: Timeouts
    retry: RetryPolicy


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request to one target. Nothing of it has been sent."""

    model: Model
    route: Route
    operation: str
    """The last segment of the path: `converse-stream`, `invoke`, `count-tokens`, ..."""
    streaming: bool
    """Whether the response is an event stream."""
    options: Options | None = None
    """The caller's options; None if the body is the caller's own."""
    output: OutputSchema | None = None
    keep: bool = False
    """Whether a `Response` is assembled from the events."""
    fallback: Callable[[], Call] | None = None
    """Plans the call anew once the service has refused the native schema; see `output_schema.note_refusal`."""
    changes: tuple[str, ...] = ()
    """What was changed of the caller's arguments, in sentences."""
    destination: Destination
    request: Request
    rate: tuple[str, str] = ("default", "standard")
    """The service tier and the latency mode that the caller asks for."""

    def sent(self) -> Call:
        """Return the call without what only another attempt would need: the request, the conversation, the options."""
        route = msgspec.structs.replace(self.route, messages=())
        return msgspec.structs.replace(self, route=route, request=_SENT, options=None, fallback=None)

    @property
    def dialect(self) -> Dialect:
        """The API that the request is written in."""
        return self.route.dialect

    @property
    def prefix(self) -> str | None:
        """The start of its path where bedrock-mantle may serve the model under another one; None if it has no other."""
        return prefix_of(self.dialect) if self.destination.service is BEDROCK_MANTLE else None

    def under_other_prefix(self) -> Call:
        """Return the call under the other prefix of bedrock-mantle."""
        replace = msgspec.structs.replace
        route = replace(self.route, dialect=other_prefix(self.dialect))
        url = self.destination.endpoint.url + route.dialect.path(self.model.id, self.operation)
        return replace(self, route=route, request=replace(self.request, url=url))

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation as it is sent; empty if the body is the caller's own."""
        return self.route.messages

    @property
    def region(self) -> str:
        """The region that the request is signed for."""
        return self.destination.region

    @property
    def timeouts(self) -> Timeouts:
        """The time limits of the call."""
        return self.destination.timeouts

    @property
    def target(self) -> Target:
        """The resolved target: model, region and endpoint, without credentials."""
        there = self.destination
        return Target(model=self.model.id, region=there.region, endpoint_url=there.endpoint.url)


_SENT = Request("", "", (), Body(()))


def plan_call(
    model: str,
    prompt: Prompt,
    options: Options,
    destination: Destination,
    *,
    streaming: bool,
    known: str | ModelFacts | None = None,
    unsupported: Unsupported = "error",
) -> Call:
    """Return the call for these arguments. Raises `ConfigurationError` for everything that can be known to be wrong.

    `known` says what an opaque model id is; `unsupported` what happens to options that the model refuses.
    """
    described = _describe(model, options, known, unsupported)
    refusals = Refusals(described.id, unsupported)
    caller_options = options
    messages = read_prompt(prompt)  # it may be an iterator
    options = check_thinking_turn(described, messages, options, refusals)
    options, output = expand_options(described, options, refusals)
    messages = check_last_message(described, messages, options, refusals)
    fallback = None
    if output is not None and output.native and output.can_be_tool(described, options):
        again = partial(plan_call, streaming=streaming, known=known, unsupported=unsupported)
        fallback = partial(again, model, messages, caller_options, destination)
    route, body, options = write_body(described, messages, options, refusals)
    operation, request = _request(route.dialect, described, body, options, destination, streaming=streaming)
    return Call(
        model=described,
        route=route,
        operation=operation,
        streaming=streaming,
        options=options,
        output=output,
        keep=options.keep,
        fallback=fallback,
        changes=tuple(refusals.changes),
        rate=(options.service_tier or "default", options.performance or "standard"),
        destination=destination,
        request=request,
    )


def _describe(model: str, options: Options, known: str | ModelFacts | None, unsupported: Unsupported) -> Model:
    """Return the model as the API of the call serves it. Raises `UnsupportedOperation` if none does."""
    described = describe(model, options.base_model or known)
    surface = choose_surface(described, options)
    check_surface(surface, described, options, unsupported)
    if unsupported != "send" and surface.api is None:
        check_reachable(described)
    return adapt_model(described, surface.api)


def plan_count(
    model: str, prompt: Prompt, options: Options, destination: Destination, known: str | ModelFacts | None = None
) -> Call:
    """Return the call that counts a conversation's tokens: CountTokens, or Claude's. Raises `ConfigurationError`."""
    described = describe(model, options.base_model or known)
    surface, options = choose_count(described, options)
    refusals = Refusals(described.id, "drop")  # what is counted needs no sampling
    options, _ = expand_options(described, options, refusals)
    route, body, options = write_body(described, read_prompt(prompt), options, refusals)
    if surface.api == "messages":
        from ..dialects.anthropic.messages import COUNT, write_count

        headers = headers_for(route.dialect, streaming=False, options=options)
        counted = write_count(body, described.id)
        return plan_own_body(route, described, COUNT, counted, destination, headers, streaming=False)
    counted = {name: body[name] for name in _COUNTED if name in body}
    # The operation takes no inference profiles, only the models behind them.
    wire = {"input": {"converse": counted}}
    headers = headers_for(_RAW.dialect, streaming=False)
    return plan_own_body(_RAW, describe(described.base), "count-tokens", wire, destination, headers, streaming=False)


def plan_raw(
    model: str,
    body: Mapping[str, Any],
    destination: Destination,
    *,
    streaming: bool,
    options: Options | None = None,
    converse: bool = False,
) -> Call:
    """Return the Invoke call for a body in the model's own JSON, or the Converse call for a body of that API.

    `options` are those that are sent as headers. Raises `ConfigurationError`.
    """
    if not isinstance(body, Mapping):
        raise ConfigurationError("body", f"expected a dict, got {type(body).__name__}")
    route = _RAW_CONVERSE if converse else _RAW
    operation = route.dialect.stream_operation if streaming else route.dialect.operation
    headers = headers_for(route.dialect, streaming=streaming, options=options)
    return plan_own_body(route, describe(model), operation, body, destination, headers, streaming=streaming)


def plan_own_body(
    route: Route,
    model: Model,
    operation: str,
    body: Any,
    destination: Destination,
    headers: Headers,
    *,
    streaming: bool,
) -> Call:
    """Return the call for a body that the caller wrote: a `Body`, or what becomes one as JSON."""
    url = destination.endpoint.url + route.dialect.path(model.id, operation)
    return Call(
        model=model,
        route=route,
        operation=operation,
        streaming=streaming,
        destination=destination,
        request=build_request(url, body, headers=headers),
    )


def _request(
    dialect: Dialect, model: Model, body: dict[str, Any], options: Options, destination: Destination, *, streaming: bool
) -> tuple[str, Request]:
    """Return the operation of a call, and its request."""
    operation = dialect.stream_operation if streaming else dialect.operation
    headers = headers_for(dialect, streaming=streaming, options=options)
    url = destination.endpoint.url + dialect.path(model.id, operation)
    return operation, build_request(url, dialect.complete_body(body, model.id, streaming=streaming), headers=headers)


def expand_options(model: Model, options: Options, refusals: Refusals) -> tuple[Options, OutputSchema | None]:
    """Return the options with the vendor's own fields, and the output schema that they ask for."""
    options = check_options(model, options, refusals)
    options = fit_tools(model, with_vendor_fields(model, options), refusals)
    if options.output_schema is None:
        return options, None
    output = OutputSchema(options.output_schema, model)
    return output.ask(options, model, refusals), output


def write_body(
    model: Model, messages: tuple[Message, ...], options: Options, refusals: Refusals
) -> tuple[Route, dict[str, Any], Options]:
    """Return the route, the dialect's body, and the options as the conversation completes them."""
    messages, options = place_cache_points(model, messages, options, refusals)
    check_cache_points(messages, options)
    messages, options = normalize_conversation(model, messages, options, refusals)
    route = choose_route(model, messages, options)
    if route.dialect.route != "converse":
        body = route.dialect.body(route.messages, with_default_limit(model, options))
        if route.dialect.route == "invoke":
            body = native_body(body, options)
    else:
        messages, options = finish_for_converse(model, messages, options, refusals)
        route = msgspec.structs.replace(route, messages=messages)
        check_sizes(messages)  # the limits are Converse's
        options = check_on_converse(model, options, refusals)
        body = route.dialect.body(route.messages, options)
    return route, body, options
