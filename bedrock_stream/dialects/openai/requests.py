"""What Chat Completions and the Responses API share in a request: headers, refusals, and the caller's own tools.

Source: OpenAI's references of both APIs, and the Bedrock user guide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import UnsupportedOperation
from ...types.options import Options
from ..base import Headers
from ..native import check_header
from ..texts import system_texts
from .tools import write_choice

__all__ = ("is_own", "project_headers", "raise_refused", "refused_option")

# Options that these APIs have no member for.
_UNKNOWN = ("response_field_paths", "prompt_variables", "performance")


def project_headers(options: Options | None) -> Headers:
    """Return the header with the project. Raises `ConfigurationError` for a value that is not printable ASCII."""
    if options is None or options.project is None:
        return ()
    check_header("project", options.project)
    return (("OpenAI-Project", options.project),)


def is_own(value: Any) -> bool:
    """Return whether a tool, a choice or a block is in the API's own words, which have a `type`."""
    return isinstance(value, dict) and isinstance(value.get("type"), str)


def refused_option(name: str, options: Options, write: Callable[[Any], Any]) -> str | None:
    """Return why the API called `name` does not support the options, or None; `write` returns None for such a tool."""
    for option in _UNKNOWN:
        if getattr(options, option):
            return f"{name} does not support {option}"
    if None in system_texts(options):
        return f"{name} supports only text in system"
    for index, tool in enumerate(options.tools):
        if is_own(tool) and tool.get("type") == "custom":  # type: ignore[union-attr]
            return f"tools[{index}]: custom tools are not supported, since their input is not JSON"
        if write(tool) is None:
            return f"tools[{index}]: {name} supports only functions and its own tools"
    choice = options.tool_choice
    if isinstance(choice, dict) and not is_own(choice) and write_choice(choice) is None:
        return f"{name} does not support tool_choice {choice!r}"
    return None


def raise_refused(reason: str | None) -> None:
    """Raise `UnsupportedOperation` if there is a reason."""
    if reason:
        raise UnsupportedOperation("api", reason, "use another api, or leave it out")
