"""Answers in a shape that the caller gives: a JSON Schema, or a pydantic, msgspec or dataclass type.

Families that hold themselves to a schema are asked to, by `outputConfig`. The others are offered one synthetic tool
whose input is the answer, and made to call it where they can be made. Either way `Response.parsed` holds the value, and
where it does not fit, `Response.parse_error` says why and the text stays as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import ConfigurationError
from ..types.messages import Block, Message, Text, ToolCall
from ..types.options import Options
from ..types.response import Response
from ..types.tools import Tool, read_foreign
from .models import Model

__all__ = ("TOOL_NAME", "OutputSchema")

TOOL_NAME = "structured_output"
"""The synthetic tool's name."""

# Beginnings of model ids (without geo prefix) that take `outputConfig.textFormat`.
_NATIVE = (
    "anthropic.claude-haiku-4-5",
    "anthropic.claude-opus-4-5",
    "anthropic.claude-opus-4-6",
    "anthropic.claude-sonnet-4-5",
    "anthropic.claude-sonnet-4-6",
    "qwen.qwen3",
)
_FORCIBLE = frozenset({"claude", "nova", "mistral"})


class OutputSchema:
    """What the caller wants, and how this model is asked for it."""

    __slots__ = ("_native", "_tool", "_type", "schema")

    def __init__(self, wanted: Mapping[str, Any] | type, model: Model) -> None:
        self._type: Any = None if isinstance(wanted, Mapping) else wanted
        # A model class makes the same schema as a tool's input as it does as an answer.
        self.schema: dict[str, Any] = (
            dict(wanted) if isinstance(wanted, Mapping) else Tool.from_model(wanted).input_schema
        )
        self._native = model.base.startswith(_NATIVE)
        self._tool = Tool(name=TOOL_NAME, description="Gives the final answer.", input_schema=self.schema)

    def ask(self, options: Options, model: Model) -> Options:
        """The options with the schema in them. Raises `ConfigurationError` where they leave no room for it."""
        if self._native:
            text = msgspec.json.encode(self.schema).decode()
            form = {"type": "json_schema", "structure": {"jsonSchema": {"schema": text, "name": TOOL_NAME}}}
            return msgspec.structs.replace(options, extra={"outputConfig": {"textFormat": form}, **options.extra})
        if options.tools:
            raise ConfigurationError(
                "output_schema", f"{model.id!r} takes it as a tool, beside which no others can stand", "drop the tools"
            )
        thinking = options.reasoning not in (None, "none")
        choice = TOOL_NAME if model.family in _FORCIBLE and not thinking else None
        return msgspec.structs.replace(options, tools=(self._tool,), tool_choice=choice)

    def read(self, response: Response) -> Response:
        """The response with the value in `parsed`; the synthetic tool's call is none of the caller's."""
        call = next((call for call in response.tool_calls if call.name == TOOL_NAME), None)
        raw: Any = response.text if call is None else call.input
        others = tuple(call for call in response.tool_calls if call.name != TOOL_NAME)
        try:
            parsed, error = self._parse(raw), None
        except (ValueError, RecursionError) as problem:  # msgspec's and pydantic's errors are of the first kind
            parsed, error = None, str(problem)
        # A call that nobody answers would be refused on the next turn.
        message = Message(response.message.role, [_as_text(block) for block in response.message.content])
        return msgspec.structs.replace(response, message=message, parsed=parsed, parse_error=error, tool_calls=others)

    def _parse(self, raw: Any) -> Any:
        value = msgspec.json.decode(raw) if isinstance(raw, str) else raw
        if self._type is None:
            return value
        if hasattr(self._type, "model_validate"):
            return self._type.model_validate(value)
        return msgspec.convert(value, self._type, dec_hook=read_foreign)


def _as_text(block: Block) -> Block:
    """The synthetic tool's call as the text that it stands for."""
    if isinstance(block, ToolCall) and block.name == TOOL_NAME:
        return Text(msgspec.json.encode(block.input).decode())
    return block
