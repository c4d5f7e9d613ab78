"""What a model refuses in a request: the checks of a Converse body against the rules of the model's row.

Native bodies of Claude are checked in the form of the Converse body of the same conversation; `prefix` is then empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..answers.turns import sections
from .cache_rules import check_cache
from .claude_rules import check_claude
from .families import is_claude
from .family_rules import check_attachments, check_content
from .model_rules import Effort, Rules, rules_of
from .refusal import MODEL_ERROR_PREFIX, extraneous, invalid, quoted, unsupported
from .schema_rules import check_schema, parse_schema

__all__ = ("check_model", "check_native_claude")

_TOOL_IDS = {
    "claude": re.compile(r"[a-zA-Z0-9_-]+"),
    "mistral": re.compile(r"[a-zA-Z0-9]{9}"),
}


def check_model(body: dict[str, Any], model: str) -> None:
    """Check a Converse body against the rules of its model. Raises `Refusal`."""
    rules = rules_of(model)
    _check_fields(body, rules)
    _check_parts(body, rules)
    check_content(body, rules)
    check_attachments(body)
    check_cache(body, model, rules)
    _check_limit(body, rules)
    _check_additional(body, rules)
    if is_claude(model):
        _check_claude(body, rules, MODEL_ERROR_PREFIX)
    else:
        _check_output(body, rules)
        _check_replay(body, rules)
        _check_prefill(body, rules)
    _check_tool_ids(body, rules, MODEL_ERROR_PREFIX)


def check_native_claude(body: dict[str, Any], model: str) -> None:
    """Check the Converse form of a native body of Claude. Raises `Refusal`."""
    rules = rules_of(model)
    limit = (body.get("inferenceConfig") or {}).get("maxTokens", 1)
    if rules.max_tokens is not None and limit > rules.max_tokens:
        raise invalid(
            f"max_tokens: {limit} > {rules.max_tokens}, which is the maximum allowed number of output tokens "
            f"for {model.rpartition('.')[2]}"
        )
    _check_claude(body, rules, "")
    _check_tool_ids(body, rules, "")


# -------------------------------------------------------------------------------------------------- fields of Converse


def _check_fields(body: dict[str, Any], rules: Rules) -> None:
    config = body.get("inferenceConfig") or {}
    for name in ("temperature", "topP", "stopSequences"):
        # An empty list of stop sequences is the same as none.
        if name in rules.fields and config.get(name) not in (None, []):
            raise unsupported(name)
    for choice in (body.get("toolConfig") or {}).get("toolChoice") or {}:
        if f"toolConfig.toolChoice.{choice}" in rules.fields:
            raise unsupported(f"toolConfig.toolChoice.{choice}")


def _check_parts(body: dict[str, Any], rules: Rules) -> None:
    if body.get("system") and not rules.system:
        raise invalid(
            "This model doesn't support system messages. Try again without a system message or use a model that "
            "supports system messages."
        )
    if body.get("toolConfig") and not rules.tools:
        raise invalid("This model doesn't support tool use.")


def _check_limit(body: dict[str, Any], rules: Rules) -> None:
    limit = (body.get("inferenceConfig") or {}).get("maxTokens")
    if limit is None:
        return
    if limit < rules.min_tokens:
        raise invalid(
            f"{MODEL_ERROR_PREFIX}Invalid 'max_output_tokens': integer below minimum value. "
            f"Expected a value >= {rules.min_tokens}, but got {limit} instead."
        )
    if rules.max_tokens is not None and limit > rules.max_tokens:
        raise invalid(
            f"The maximum tokens you requested exceeds the model limit of {rules.max_tokens}. "
            f"Try again with a maximum tokens value that is lower than {rules.max_tokens}."
        )


# --------------------------------------------------------------------------------------------------- additional fields


def _check_additional(body: dict[str, Any], rules: Rules) -> None:
    fields = body.get("additionalModelRequestFields") or {}
    for name in fields:
        if name == "reasoningConfig" and rules.replay == "none":
            raise invalid("Malformed input request: the provided reasoning config value is invalid")
        if name in rules.additional:
            raise extraneous(name)
        if name in rules.unknown_parameters:
            raise invalid(f"{MODEL_ERROR_PREFIX}Unknown parameter: '{name}'.")
    if rules.effort is not None:
        _check_effort(fields, rules.effort)
    if rules.high_alone and _member(fields, "reasoningConfig").get("maxReasoningEffort") == "high":
        config = body.get("inferenceConfig") or {}
        excluded = [name for name in ("maxTokens", "temperature", "topP") if name in config]
        if excluded or "topK" in _member(fields, "inferenceConfig"):
            name = excluded[0] if excluded else "topK"
            raise invalid(f"{MODEL_ERROR_PREFIX}{name} must be unset when maxReasoningEffort is high.")


def _check_effort(fields: dict[str, Any], effort: Effort) -> None:
    value: Any = fields
    for name in effort.path:
        value = value.get(name) if isinstance(value, dict) else None
    if value is not None and value not in effort.words:
        raise invalid(f"{MODEL_ERROR_PREFIX}{'.'.join(effort.path)}: Input should be {quoted(effort.words)}")


def _member(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


# ------------------------------------------------------------------------------------------- structured output, history


def _check_output(body: dict[str, Any], rules: Rules) -> None:
    if body.get("outputConfig"):
        schema = parse_schema(body["outputConfig"])
        if rules.schema == "no":
            raise unsupported("outputConfig")
        if rules.schema == "subset":
            check_schema(schema, "outputConfig.textFormat.structure.jsonSchema.schema")
    if not rules.strict and any("strict" in spec for spec in _specs(body)):
        raise unsupported("strict")


def _check_claude(body: dict[str, Any], rules: Rules, prefix: str) -> None:
    if body.get("outputConfig"):
        schema = parse_schema(body["outputConfig"])
        if rules.schema == "no":
            raise invalid(f"{prefix}output_config.format: Extra inputs are not permitted")
        if rules.schema == "subset":
            check_schema(schema, f"{prefix}output_config.format.schema")
    for index, spec in enumerate(_specs(body)):
        if "strict" in spec and not rules.strict:
            raise invalid(f"{prefix}tools.{index}.custom.strict: Extra inputs are not permitted")
    check_claude(body, rules, prefix)


def _specs(body: dict[str, Any]) -> list[dict[str, Any]]:
    tools = (body.get("toolConfig") or {}).get("tools", [])
    # A cache point is no tool of its own in the makers' formats, so it has no index.
    return [tool.get("toolSpec", {}) for tool in tools if "cachePoint" not in tool]


def _check_replay(body: dict[str, Any], rules: Rules) -> None:
    for block in _blocks(body):
        reasoning = block.get("reasoningContent")
        if reasoning is None or rules.replay == "any":
            continue
        if rules.replay == "none":
            # The signature is named first, as for the models that take unsigned reasoning.
            _check_unsigned(reasoning)
            raise unsupported("reasoningContent")
        _check_unsigned(reasoning)


def _check_unsigned(reasoning: dict[str, Any]) -> None:
    if "redactedContent" in reasoning:
        raise unsupported("reasoningContent.redactedContent")
    if "signature" in reasoning.get("reasoningText", {}):
        raise unsupported("reasoningContent.reasoningText.signature")


def _check_prefill(body: dict[str, Any], rules: Rules) -> None:
    messages = body.get("messages") or []
    fields = body.get("additionalModelRequestFields") or {}
    reasons = _member(fields, "reasoningConfig").get("type") == "enabled"
    if rules.prefill == "unless reasoning" and reasons and messages and messages[-1]["role"] == "assistant":
        raise invalid(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )


def _check_tool_ids(body: dict[str, Any], rules: Rules, prefix: str) -> None:
    if rules.tool_id is None:
        return
    pattern = _TOOL_IDS[rules.tool_id]
    for position, message in enumerate(body.get("messages") or ()):
        for index, block in enumerate(message["content"]):
            for kind, path in (("toolUse", "tool_use.id"), ("toolResult", "tool_result.tool_use_id")):
                call = block.get(kind, {}).get("toolUseId", "")
                if kind not in block or pattern.fullmatch(call):
                    continue
                if rules.tool_id == "mistral":
                    raise invalid(f"{prefix}Tool call id was {call} but must be a-z, A-Z, 0-9, with a length of 9.")
                raise invalid(
                    f"{prefix}messages.{position}.content.{index}.{path}: "
                    f"String should match pattern '^{pattern.pattern}$'"
                )


def _blocks(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (block for _, role, blocks in sections(body) if role != "tools" for block in blocks)
