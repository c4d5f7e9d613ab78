"""Options of a failover target, which take precedence over those of the call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ..errors import ConfigurationError
from .options import ALIASES, Options, check_arguments, check_tool_choice, with_one_api
from .settings import Target

__all__ = ("check_targets", "options_at")

# Options that a target has as fields of its own, and those that apply to all attempts of a call.
_NOT_HERE = {
    "region": "Target(region=...)",
    "api_key": "Target(api_key=...)",
    **dict.fromkeys(("access_key_id", "secret_access_key", "session_token"), "Target(credentials=...)"),
    **dict.fromkeys(("retry", "failover", "keep", "show_retries"), "the option of the call"),
    "provider_options": "the names of the options",
}


def check_targets(targets: Iterable[Target]) -> None:
    """Raise `ConfigurationError` with the path of an invalid option of a failover target."""
    for index, target in enumerate(targets):
        try:
            _changes(target)
        except ConfigurationError as error:
            path = f"failover[{index}].options.{error.argument}"
            raise ConfigurationError(path, error.problem, error.remedy) from None


def options_at(target: Target, options: Options) -> Options:
    """Return the options of a call as they apply at a target. Raises `ConfigurationError`."""
    if target.model is not None:  # the option describes the model of the call
        options = msgspec.structs.replace(options, base_model=None)
    if target.options:
        changes = _changes(target)
        if {"api", "use_converse"} & changes.keys():  # one names the API of the target, in place of that of the call
            options = msgspec.structs.replace(options, api=None, use_converse=None)
        options = msgspec.structs.replace(options, **changes)
        check_tool_choice(options)
        options = with_one_api(options)
    return options


def _changes(target: Target) -> dict[str, Any]:
    """Return the fields of `Options` that a target sets, with the default of each one that it removes."""
    arguments = dict(target.options or {})
    for name, remedy in _NOT_HERE.items():
        if name in arguments:
            raise ConfigurationError(name, "cannot be an option of a target", f"use {remedy}")
    unset = {ALIASES.get(name, name) for name, value in arguments.items() if value is None}
    if "anthropic_prompt_cache" in {ALIASES.get(name, name) for name in arguments}:
        unset.add("prompt_cache_auto")  # `prompt_cache="auto"` sets both
    checked = check_arguments(arguments)  # raises for an unknown name, also of one with the value None
    defaults = Options()
    return {**{name: getattr(defaults, name) for name in unset}, **checked}
