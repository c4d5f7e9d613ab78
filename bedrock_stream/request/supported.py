"""Checks a call's options against what the model takes: sampling, stop sequences, tools and tool choices."""

from __future__ import annotations

from ..types.options import Options
from .models import Model
from .unsupported import Refusals

__all__ = ("check_options",)


def check_options(model: Model, options: Options, refusals: Refusals) -> Options:
    """Return the options without those that the model refuses and `refusals` drops.

    Raises `UnsupportedOperation` for them otherwise.
    """
    return options
