"""Values: messages, events, responses, tools, options and settings. Pure."""

from __future__ import annotations

from typing import Any

__all__ = ("Value",)


class Value:
    """Base class of structs that are JSON documents: messages, blocks, events, responses, counts.

    pydantic models and FastAPI endpoints take them as types of fields, bodies and responses, in the form that
    `msgspec.json.encode` writes. FastAPI takes a parameter of such a type for a body if it is a list or has `Body()`.
    """

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Return pydantic's description of this type. Called by pydantic alone, which is not imported before."""
        from .pydantic_schema import core_schema_of

        return core_schema_of(cls, source, handler)
