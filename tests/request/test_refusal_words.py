"""The service's refusals name the option of the call that they are about."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bedrock_stream import Client, Tool
from bedrock_stream.errors import ValidationFailed, service_error
from bedrock_stream.request.refusal_words import explain_refusal
from bedrock_stream.testing import API_KEY, Emulator, http_error
from bedrock_stream.types.options import read_options

TOOL = Tool(name="f")
FROM_MODEL = "The model returned the following errors: "


def explained(message: str, schema: bool = False, **options: Any) -> ValidationFailed:
    error = service_error("ValidationException", message, 400)
    assert isinstance(error, ValidationFailed)
    explain_refusal(error, read_options(options), schema=schema)
    return error


@pytest.mark.parametrize(
    ("message", "options", "option"),
    [
        ("`temperature` is deprecated for this model.", {"temperature": 0.5}, "temperature"),
        (
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
            {"temperature": 0.5, "top_p": 0.5},
            "top_p",
        ),
        (
            "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.",
            {"temperature": 0.5, "reasoning": "low"},
            "temperature",
        ),
        (
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive".',
            {"reasoning": 4096},
            "reasoning",
        ),
        ('"thinking.type.disabled" is not supported for this model.', {"reasoning": "none"}, "reasoning"),
        ("output_config.effort: Input should be 'low', 'medium' or 'high'", {"reasoning": "max"}, "reasoning"),
        (
            'tool_choice: type "tool" and "any" are not supported for this model.',
            {"tools": [TOOL], "tool_choice": "any"},
            "tool_choice",
        ),
        (
            "Thinking may not be enabled when tool_choice forces tool use.",
            {"tools": [TOOL], "tool_choice": "any", "reasoning": "low"},
            "tool_choice",
        ),
        (
            "This model doesn't support the toolConfig.toolChoice.any field.",
            {"tools": [TOOL], "tool_choice": "any"},
            "tool_choice",
        ),
        ("This model doesn't support the topP field. Remove topP and try again.", {"top_p": 0.5}, "top_p"),
        ("This model doesn't support the stopSequences field.", {"stop_sequences": ["a"]}, "stop_sequences"),
        ("stop_sequences: each stop sequence must contain non-whitespace", {"stop_sequences": [" "]}, "stop_sequences"),
        ("output_config.format: Extra inputs are not permitted", {"output_schema": {}}, "output_schema"),
        ("This model doesn't support the outputConfig field.", {"output_schema": {}}, "output_schema"),
        ("tools.0.custom.strict: Extra inputs are not permitted", {"tools": [TOOL]}, "tools"),
        ("This model doesn't support the cachePoint field.", {"prompt_cache": True}, "anthropic_prompt_cache"),
        ("This model doesn't support the cachePoint field.", {}, "messages"),
        ("This model does not support assistant message prefill.", {}, "messages"),
        ("This model doesn't support the status field. Remove status and try again.", {}, "messages"),
        ("This model doesn't support citations.", {}, "messages"),
    ],
)
@pytest.mark.parametrize("before", ["", FROM_MODEL])
def test_the_words_of_the_service_name_an_option(before: str, message: str, options: Any, option: str) -> None:
    error = explained(before + message, **options)
    assert (error.option, error.message) == (option, before + message)
    assert str(error).startswith(f"ValidationException (HTTP 400): {before}{message} [option {option}: ")
    for copied in (copy.copy(error), copy.deepcopy(error)):
        assert (copied.option, str(copied)) == (option, str(error))


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("`temperature` is deprecated for this model.", {}),
        ("`temperature` is deprecated for this model.", {"additional_model_request_fields": {"temperature": 1}}),
        ("something else", {"temperature": 0.5}),
        ("", {}),
    ],
)
def test_only_options_that_the_call_had_set_are_named(message: str, options: dict[str, Any]) -> None:
    error = explained(message, **options)
    assert (error.option, error.message) == (None, message)
    assert str(error) == (f"ValidationException (HTTP 400): {message}" if message else "ValidationException (HTTP 400)")


def test_a_tool_choice_of_an_output_schema_is_named_as_the_schema() -> None:
    message = 'tool_choice: type "tool" and "any" are not supported for this model.'
    options = {"tools": [TOOL], "tool_choice": "any", "output_schema": {}}
    assert explained(message, schema=True, **options).option == "output_schema"


def test_a_body_of_the_callers_own_has_no_options() -> None:
    error = ValidationFailed("ValidationException", "`temperature` is deprecated for this model.", 400)
    explain_refusal(error, None)
    assert error.option is None


async def test_a_call_raises_the_refusal_with_its_option() -> None:
    message = "`temperature` is deprecated for this model."
    async with Emulator() as emulator, Client(api_key=API_KEY, endpoint_url=emulator.url) as client:
        emulator.script(http_error(400, "ValidationException", message))
        with pytest.raises(ValidationFailed) as caught:
            await client.generate("newcomer.model-v1", "q", temperature=0.5)
    assert (caught.value.option, caught.value.message) == ("temperature", message)
    assert "[option temperature: omit it for this model]" in str(caught.value)
