"""The few elements of SVG that the pictures consist of. Colours follow the light or dark theme of the reader."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

__all__ = ("circle", "document", "line", "rect", "text")

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f } .small { font-size: 12px; fill: #57606a }
.code { font-family: ui-monospace, monospace; font-size: 12px } .title { font-weight: 600 }
.middle { text-anchor: middle }
.pure { fill: #0969da } .io { fill: #8c959f } .on { fill: #ffffff; font-weight: 600 }
.grid { stroke: #d0d7de } .way { stroke: #0969da; stroke-width: 2; fill: none } .band { fill: #8c959f; opacity: .13 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .small { fill: #9198a1 } .pure { fill: #1f6feb }
.io { fill: #6e7681 } .on { fill: #ffffff } .grid { stroke: #3d444d } .way { stroke: #4493f8 } }
"""


def document(width: int, height: int, label: str, elements: Iterable[str]) -> str:
    """Return a whole picture; `label` is what a screen reader says."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
    return "\n".join([head, f"<style>{_STYLE}</style>", *elements, "</svg>\n"])


def text(x: float, y: float, words: str, style: str = "", rotate: int = 0) -> str:
    """Return a line of text that begins at x; y is its base line."""
    turned = f' transform="rotate({rotate} {x:g} {y:g})"' if rotate else ""
    return f'<text x="{x:g}" y="{y:g}" class="{style}"{turned}>{escape(words)}</text>'


def rect(x: float, y: float, width: float, height: float, style: str) -> str:
    """Return a box with slightly rounded corners."""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4" class="{style}"/>'


def circle(x: float, y: float, radius: float, style: str) -> str:
    """Return a filled circle."""
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" class="{style}"/>'


def line(points: Iterable[tuple[float, float]], style: str) -> str:
    """Return a line through points."""
    return f'<polyline points="{" ".join(f"{x:g},{y:g}" for x, y in points)}" class="{style}"/>'
