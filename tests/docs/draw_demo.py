"""Draws docs/pictures/demo.svg, the picture of README: what `bedrock-stream demo` prints.

python -m tests.docs.draw_demo
"""

from __future__ import annotations

import asyncio
import io
import re

from bedrock_stream.cli.demo import demo
from bedrock_stream.cli.terminal import make_console
from tests.support.doc_pages import DOCS

__all__ = ("draw",)


def draw() -> str:
    """Run the demo and return its output as a picture."""
    console = make_console(io.StringIO())
    console.record, console.width = True, 110
    asyncio.run(demo(0.02, console))
    picture = console.export_svg(title="bedrock-stream demo")
    return re.sub(r"@font-face \{[^}]*\}\s*", "", picture)  # of another host; any fixed-width font will do


if __name__ == "__main__":
    (DOCS / "pictures" / "demo.svg").write_text(draw(), encoding="utf-8")
