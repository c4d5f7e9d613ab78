"""Adapters for third-party frameworks and front ends.

`messages_from_ui` and `messages_from_openai` need no extra. Each other module requires the extra of the same name, and
no other module of the library imports it, except for the gateway.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .chat_requests import ChatRequest as ChatRequest
    from .chat_requests import messages_from_openai as messages_from_openai
    from .chat_requests import messages_from_ui as messages_from_ui

__all__ = ("ChatRequest", "messages_from_openai", "messages_from_ui")

if not TYPE_CHECKING:  # imported on first use: most adapters do not need it

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(".chat_requests", __name__), name)
