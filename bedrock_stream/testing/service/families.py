"""The family of a model, read from its id alone. Prefixes of inference profiles and the ARN around an id are ignored.

The emulator does not use the library's model table, so that the two cannot share a mistake.
"""

from __future__ import annotations

__all__ = ("is_claude", "is_nova", "is_profile", "maker_of")

_MAKERS = frozenset(
    {"ai21", "amazon", "anthropic", "cohere", "deepseek", "google", "meta", "minimax", "mistral", "moonshot"}
    | {"moonshotai", "nvidia", "openai", "qwen", "stability", "twelvelabs", "writer", "xai", "zai"}
)


def maker_of(model: str) -> tuple[str, str]:
    """Return the maker and the rest of the name: `("meta", "llama3-70b-instruct-v1:0")`, two empty strings if unknown.

    The maker is the first part of the id (or of an ARN's last segment), or the second part after a region's prefix.
    """
    parts = model.rpartition("/")[2].split(".")
    for index, part in enumerate(parts[:2]):
        if part in _MAKERS:
            return part, ".".join(parts[index + 1 :])
    return "", ""


def is_claude(model: str) -> bool:
    """Return True if the id is a Claude model's."""
    return maker_of(model)[0] == "anthropic"


def is_nova(model: str) -> bool:
    """Return True if the id is a Nova model's."""
    maker, name = maker_of(model)
    return maker == "amazon" and name.startswith("nova")


def is_profile(model: str) -> bool:
    """Return True if the id is an inference profile's, not a foundation model's."""
    maker = maker_of(model)[0]
    last = model.rpartition("/")[2]
    # A foundation model's id begins with its maker; a profile's has a region's prefix (`us.`) or is an opaque name.
    return "inference-profile/" in model or not maker or not last.startswith(f"{maker}.")
