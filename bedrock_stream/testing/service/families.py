"""Whose model an id names, read from the id alone: an inference profile's prefix and an ARN around it tell nothing.

The emulator reads ids by itself, without the library's own table, so that both cannot agree on one mistake.
"""

from __future__ import annotations

__all__ = ("is_claude", "is_nova", "is_profile", "maker_of")

_MAKERS = frozenset(
    {"ai21", "amazon", "anthropic", "cohere", "deepseek", "google", "meta", "minimax", "mistral", "moonshot"}
    | {"moonshotai", "nvidia", "openai", "qwen", "stability", "twelvelabs", "writer", "zai"}
)


def maker_of(model: str) -> tuple[str, str]:
    """The maker and the rest of the name, `("meta", "llama3-70b-instruct-v1:0")`; two empty texts where none is told.

    The maker is the first or, behind the prefix of a region, the second part of the id or of an ARN's last segment.
    """
    parts = model.rpartition("/")[2].split(".")
    for place, part in enumerate(parts[:2]):
        if part in _MAKERS:
            return part, ".".join(parts[place + 1 :])
    return "", ""


def is_claude(model: str) -> bool:
    """Whether the id names a Claude."""
    return maker_of(model)[0] == "anthropic"


def is_nova(model: str) -> bool:
    """Whether the id names a Nova."""
    maker, name = maker_of(model)
    return maker == "amazon" and name.startswith("nova")


def is_profile(model: str) -> bool:
    """Whether the id is an inference profile's and not a model's own."""
    maker = maker_of(model)[0]
    last = model.rpartition("/")[2]
    return "inference-profile/" in model or not maker or not last.startswith(f"{maker}.")
