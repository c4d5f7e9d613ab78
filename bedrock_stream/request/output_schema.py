"""Structured output: a JSON Schema, or a pydantic, msgspec or dataclass type.

Models with native structured output receive the schema in `outputConfig`. The others are offered one synthetic tool
whose input is the answer, with a forced tool choice if the family supports it. `Response.parsed` holds the value. If
the answer does not match the schema, `Response.parse_error` holds the reason and the text is left unchanged.
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

# Prefixes of the model ids (without geo prefix) that accept `outputConfig.textFormat`.
_NATIVE = (
    "anthropic.claude-haiku-4-5",
    "anthropic.claude-opus-4-5",
    "anthropic.claude-opus-4-6",
    "anthropic.claude-sonnet-4-5",
    "anthropic.claude-sonnet-4-6",
    "qwen.qwen3",
)
# Families that accept a forced tool choice.
_FORCED_CHOICE = frozenset({"claude", "nova", "mistral"})


class OutputSchema:
    """An output schema and its form in the request for one model."""

    __slots__ = ("_native", "_tool", "_type", "schema")

    def __init__(self, schema: Mapping[str, Any] | type, model: Model) -> None:
        self._type: Any = None if isinstance(schema, Mapping) else schema
        # The schema of a class is the same for an answer as for the input of a tool.
        self.schema: dict[str, Any] = (
            dict(schema) if isinstance(schema, Mapping) else Tool.from_model(schema).input_schema
        )
        self._native = model.base.startswith(_NATIVE)
        self._tool = Tool(name=TOOL_NAME, description="Gives the final answer.", input_schema=self.schema)

    def ask(self, options: Options, model: Model) -> Options:
        """Return the options with the schema added. Raises `ConfigurationError` if they already contain tools."""
        if self._native:
            # Here the schema is JSON text, while a tool's `inputSchema.json` is an object.
            text = msgspec.json.encode(self.schema).decode()
            form = {"type": "json_schema", "structure": {"jsonSchema": {"schema": text, "name": TOOL_NAME}}}
            # The caller's own `outputConfig` takes precedence.
            return msgspec.structs.replace(options, extra={"outputConfig": {"textFormat": form}, **options.extra})
        if options.tools:
            raise ConfigurationError(
                "output_schema",
                f"{model.id!r} supports it only as a synthetic tool, which cannot be combined with other tools",
                "drop the tools",
            )
        # Claude rejects a forced tool choice while thinking is enabled.
        thinking = options.reasoning not in (None, "none")
        choice = TOOL_NAME if model.family in _FORCED_CHOICE and not thinking else None
        return msgspec.structs.replace(options, tools=(self._tool,), tool_choice=choice)

    def read(self, response: Response) -> Response:
        """Return the response with the value in `parsed`, and without the call of the synthetic tool."""
        call = next((call for call in response.tool_calls if call.name == TOOL_NAME), None)
        raw: Any = response.text if call is None else call.input
        others = tuple(call for call in response.tool_calls if call.name != TOOL_NAME)
        try:
            parsed, error = self._parse(raw), None
        except (ValueError, RecursionError) as problem:  # msgspec's and pydantic's errors are subclasses of ValueError
            parsed, error = None, str(problem)
        # The service rejects a history with a call that has no result, so the call becomes text.
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
    """Replace a call of the synthetic tool by its input as JSON text."""
    if isinstance(block, ToolCall) and block.name == TOOL_NAME:
        return Text(msgspec.json.encode(block.input).decode())
    return block
