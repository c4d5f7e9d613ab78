"""The two tools that the page may offer to a model. Both run here and touch nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ...types.tools import Tool

__all__ = ("TOOLS",)

_SKIES = ("a clear sky", "low clouds", "wind from the sea", "snow later", "warm sun", "rain from four")


async def get_weather(
    city: Annotated[str, "The city's name"], units: Literal["celsius", "fahrenheit"] = "celsius"
) -> dict[str, Any]:
    """Tell the weather of a city for the next hours. It is made up, the same every time for the same city."""
    seed = sum(city.encode())
    celsius = seed % 25 - 2
    temperature = celsius if units == "celsius" else round(celsius * 9 / 5 + 32)
    return {"city": city, "temperature": temperature, "units": units, "sky": _SKIES[seed % len(_SKIES)]}


async def get_time(time_zone: Annotated[str, "An IANA time zone, Europe/Oslo"] = "UTC") -> dict[str, Any]:
    """Tell the time of day in a time zone."""
    try:
        now = datetime.now(ZoneInfo(time_zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{time_zone!r} is no time zone that is known here") from None
    return {"time_zone": time_zone, "time": f"{now:%A, %d %B %Y, %H:%M}"}


TOOLS = (Tool.from_function(get_weather), Tool.from_function(get_time))
