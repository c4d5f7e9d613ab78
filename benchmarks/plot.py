"""Draw the bar chart of the documentation as SVG, without a plotting library.

It shows the results of `burst`: CPU time per event of whole clients. Bars have a linear scale that starts at zero, and
each bar has its figure as a label. Colours follow the light or dark theme of the reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .measure import OURS, Row

__all__ = ("draw",)

_TITLE = "CPU time per streamed event"
_WIDTH, _LABELS, _FIGURES, _BAR, _GAP, _TOP = 760, 270, 90, 18, 8, 46
_FLOOR = "aiohttp_alone"  # not a client, so it has no bar
_NAMES = {
    "aws_sdk": "aws_sdk_bedrock_runtime",
    "langchain_aws": "langchain-aws",
    "pydantic_ai": "pydantic-ai",
    "anthropic": "AsyncAnthropicBedrock",
}
_FORMS = {"native": ", native format", "messages": ", Messages", "chat": ", Chat Completions"}
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f } .small { font-size: 12px; fill: #57606a }
.title { font-weight: 600 }
rect { fill: #afb8c1 } .ours { fill: #0969da }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .small { fill: #9198a1 }
rect { fill: #59636e } .ours { fill: #4493f8 } }
"""


def draw(rows: Sequence[Row]) -> str:
    """Return the chart as SVG. Raises `ValueError` if the rows contain no figures of `burst`."""
    bars = sorted(
        (
            (row.value, row)
            for row in rows
            if row.question == "burst" and row.contender != _FLOOR and row.value is not None
        ),
        key=lambda bar: bar[0],
    )
    if not bars:
        raise ValueError("no burst figures among the rows")
    longest = bars[-1][0]
    height = _TOP + len(bars) * (_BAR + _GAP) + _GAP
    elements = [_bar(index, value, longest, row) for index, (value, row) in enumerate(bars)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{_TITLE}">'
    title = f'<text x="8" y="20" class="title">{_TITLE}</text>'
    note = '<text x="8" y="37" class="small">whole client, all bytes at once, microseconds; shorter is better</text>'
    return "\n".join([head, f"<style>{_STYLE}</style>", title, note, *elements, "</svg>\n"])


def _bar(index: int, value: float, longest: float, row: Row) -> str:
    top = _TOP + index * (_BAR + _GAP)
    width = max(1.0, value / longest * (_WIDTH - _LABELS - _FIGURES))
    kind = ' class="ours"' if row.contender == OURS else ""
    label = escape(_NAMES.get(row.contender, row.contender) + _FORMS.get(row.case, ""))
    text = f"{value:.1f}" if value < 100 else f"{value:.0f}"
    return (
        f'<text x="{_LABELS - 8}" y="{top + 13}" text-anchor="end">{label}</text>'
        f'<rect{kind} x="{_LABELS}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="2"/>'
        f'<text x="{_LABELS + width + 6:.1f}" y="{top + 13}" class="small">{text} us</text>'
    )
