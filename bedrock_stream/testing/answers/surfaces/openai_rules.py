"""What models of OpenAI's form refuse, on Chat Completions and on Responses, by the emulator's own facts."""

from __future__ import annotations

from typing import Any

from ....types.checks import is_integer
from ...service.asked import Asked
from ...service.families import maker_of
from ...service.model_rules import rules_of
from ...service.refusal import Refusal, quoted

__all__ = (
    "check_effort",
    "check_limit",
    "check_names",
    "check_project",
    "check_sampling",
    "is_gpt",
    "is_gpt_oss",
    "missing",
    "refused",
)

_SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs")
_DEFAULTS = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0, "logprobs": False}
_RANGES = {"temperature": 2, "top_p": 1}


def is_gpt_oss(model: str) -> bool:
    """Return True for OpenAI's open weights."""
    maker, name = maker_of(model)
    return maker == "openai" and name.startswith("gpt-oss")


def is_gpt(model: str) -> bool:
    """Return True for OpenAI's own models: GPT with a number."""
    return maker_of(model)[0] == "openai" and not is_gpt_oss(model)


def refused(message: str, param: str | None = None, code: str = "validation_error") -> Refusal:
    """Return the refusal of a member."""
    return Refusal(400, code, message, param=param)


def missing(param: str) -> Refusal:
    """Return the refusal of a body without a member that it must have."""
    return refused(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")


def check_project(asked: Asked) -> None:
    """Check the project: bedrock-runtime has only the account's default one. Raises `Refusal`."""
    project = asked.headers.get("OpenAI-Project", "default")
    if asked.endpoint == "runtime" and project != "default" and not project.startswith("arn:"):
        raise refused(f"OpenAI-Project: '{project}' is not the account's default project.")


def check_limit(value: Any, param: str, model: str) -> None:
    """Check the limit of output tokens. Raises `Refusal`."""
    if value is None:
        return
    rules = rules_of(model)
    if not is_integer(value):
        raise refused(f"Invalid type for '{param}': expected an integer.", param, "invalid_type")
    if value < rules.min_tokens:
        raise refused(
            f"Invalid '{param}': integer below minimum value. Expected a value >= {rules.min_tokens}, "
            f"but got {value} instead.", param, "integer_below_min_value",
        )  # fmt: skip
    if rules.max_tokens is not None and value > rules.max_tokens:
        raise refused(f"Invalid '{param}': {value} exceeds the model's limit of {rules.max_tokens}.", param)


def check_sampling(body: dict[str, Any], effort: Any, model: str) -> None:
    """Check the sampling settings: models that reason take none of them. Raises `Refusal`."""
    maker = maker_of(model)[0]
    for name in _SAMPLING:
        value = body.get(name)
        if value in (None, _DEFAULTS.get(name)):
            continue
        if is_gpt(model) and effort != "none":
            raise refused(
                f"Unsupported value: '{name}' does not support {value} with this model. Only the default value is "
                "supported.", name, "unsupported_value",
            )  # fmt: skip
        if maker == "xai" and name.endswith("penalty"):
            raise Refusal(503, "ServiceUnavailableException", f"{name} is not supported by this model", param=name)
        if name in _RANGES and not 0 <= value <= _RANGES[name]:
            raise refused(f"Invalid '{name}': expected a value from 0 to {_RANGES[name]}, but got {value}.", name)
    if is_gpt_oss(model) and body.get("logit_bias"):
        raise refused("logit_bias is not supported by this model", "logit_bias", "unsupported_parameter")


def check_effort(effort: Any, param: str, model: str) -> None:
    """Check the effort of reasoning. Raises `Refusal`."""
    if effort is None:
        return
    if not isinstance(effort, str):
        raise refused(f"Invalid type for '{param}': expected a string.", param, "invalid_type")
    known = rules_of(model).effort
    if known is not None and effort not in known.words:
        raise refused(
            f"Invalid value: '{effort}'. Supported values are: {quoted(known.words)}.", param, "unsupported_value"
        )


def check_names(names: list[str], forced: str | None) -> None:
    """Check the names of the tools, and that a forced one is among them. Raises `Refusal`."""
    if len(set(names)) < len(names):
        raise refused("Tool names must be unique.", "tools")
    if forced is not None and forced not in names:
        raise refused(f"Tool choice '{forced}' is not among the tools.", "tool_choice")
