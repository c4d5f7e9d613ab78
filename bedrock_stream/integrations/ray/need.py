"""Imports of Ray on first use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ...errors import ConfigurationError

__all__ = ("need",)


def need(name: str) -> Any:
    """Return a module of Ray or of what it brings. Raises `ConfigurationError` if Ray is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        # Only a missing dependency gets a remedy; any other failed import is a bug.
        if (error.name or "").partition(".")[0] not in ("ray", "pyarrow"):
            raise
    raise ConfigurationError("ray", "Ray Data is not installed", 'pip install "bedrock-stream[ray]"')
