"""Models: what their ids mean (`ids`), and what each generation takes (`table`, the one home of that knowledge)."""

from .ids import (
    MAX_LENGTH,
    Model,
    check_models,
    check_reachable,
    describe,
    is_plain,
    needs_profile,
    normalize,
    profiles_for,
)
from .table import UNKNOWN, facts_of

__all__ = (
    "MAX_LENGTH",
    "UNKNOWN",
    "Model",
    "check_models",
    "check_reachable",
    "describe",
    "facts_of",
    "is_plain",
    "needs_profile",
    "normalize",
    "profiles_for",
)
