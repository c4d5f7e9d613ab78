"""The lists of models of bedrock-mantle, in the forms of Anthropic and OpenAI.

As at AWS, a list has models that its own path then refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ..answers.facts import CREATED, Facts
from ..answers.rendering import EventComposer, Form
from ..steps import Step
from .asked import Asked
from .families import maker_of
from .mantle_models import LISTED

__all__ = ("read_list",)

_CREATED_AT = "2025-07-01T12:00:00Z"


def read_list(asked: Asked) -> tuple[dict[str, Any], Form]:
    """Return an empty conversation, and the list of models as the form of its answer."""
    names = sorted(LISTED if asked.models is None else asked.models)
    document = _of_anthropic if asked.path.startswith("/anthropic/") else _of_openai
    return {}, Form(EventComposer, partial(document, names))


def _of_anthropic(names: list[str], _steps: Sequence[Step], _facts: Facts) -> dict[str, Any]:
    data = [
        {"type": "model", "id": name, "display_name": name.rpartition(".")[2], "created_at": _CREATED_AT}
        for name in names
    ]
    first, last = (names[0], names[-1]) if names else (None, None)
    return {"data": data, "has_more": False, "first_id": first, "last_id": last}


def _of_openai(names: list[str], _steps: Sequence[Step], _facts: Facts) -> dict[str, Any]:
    data = [
        {"id": name, "object": "model", "created": CREATED, "owned_by": maker_of(name)[0] or "system"} for name in names
    ]
    return {"object": "list", "data": data}
