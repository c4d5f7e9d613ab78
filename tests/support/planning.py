"""Plan a call as a client does, for a fixed region and endpoint; the body is shown before it becomes JSON, too."""

from __future__ import annotations

from typing import Any, NamedTuple

from bedrock_stream import RetryPolicy, Timeouts
from bedrock_stream.dialects.converse import Converse
from bedrock_stream.request.call import Call, Destination, expand_options, plan_call, write_body
from bedrock_stream.request.endpoints import Endpoint
from bedrock_stream.request.http import Headers, headers_for
from bedrock_stream.request.models import describe
from bedrock_stream.request.unsupported import Refusals
from bedrock_stream.types.messages import read_prompt
from bedrock_stream.types.options import Options, read_options

__all__ = ("DESTINATION", "Planned", "plan")

DESTINATION = Destination(
    region="us-east-1",
    endpoint=Endpoint("https://bedrock-runtime.us-east-1.amazonaws.com", "region"),
    timeouts=Timeouts(),
    retry=RetryPolicy(),
)

# The headers that every request has.
_FIXED = headers_for(Converse(), streaming=False)[1:]


class Planned(NamedTuple):
    call: Call
    body: dict[str, Any]

    @property
    def options(self) -> Options:
        assert self.call.options is not None
        return self.call.options

    @property
    def headers(self) -> Headers:
        """The headers of this call alone."""
        headers = self.call.request.headers
        assert headers[-len(_FIXED) :] == _FIXED
        return headers[: -len(_FIXED)]


def plan(model: str, prompt: Any = "hi", *, streaming: bool = True, **options: Any) -> Planned:
    read = read_options(options)
    call = plan_call(model, prompt, read, DESTINATION, streaming=streaming)
    described = describe(model)
    refusals = Refusals(described.id)
    _, body, _ = write_body(described, read_prompt(prompt), expand_options(described, read, refusals)[0], refusals)
    return Planned(call, body)
