"""The two demo tools of the page. Both run in this process and have no side effects."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ...types.tools import Tool

__all__ = ("FUNCTIONS", "TOOLS")


async def get_weather(
    city: Annotated[str, "Name of the city"], units: Literal["celsius", "fahrenheit"] = "celsius"
) -> dict[str, Any]:
    """Get the weather of a city for the next hours. The data is made up, and always the same for a city."""
    skies = ("a clear sky", "low clouds", "wind from the sea", "snow later", "warm sun", "rain from 4 pm")
    # Derived from the name, so that a repeated question gets the same answer.
    seed = sum(city.encode())
    celsius = seed % 25 - 2
    temperature = celsius if units == "celsius" else round(celsius * 9 / 5 + 32)
    return {"city": city, "temperature": temperature, "units": units, "sky": skies[seed % len(skies)]}


async def get_time(time_zone: Annotated[str, "An IANA time zone, such as Europe/Oslo"] = "UTC") -> dict[str, Any]:
    """Get the current date and time in a time zone."""
    try:
        now = datetime.now(ZoneInfo(time_zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"unknown time zone: {time_zone!r}") from None
    return {"time_zone": time_zone, "time": f"{now:%A, %d %B %Y, %H:%M}"}


FUNCTIONS: tuple[Callable[..., Any], ...] = (get_weather, get_time)
"""The functions. Each needs nothing of this module but its imports, because the page shows their source."""
TOOLS = tuple(Tool.from_function(function) for function in FUNCTIONS)
