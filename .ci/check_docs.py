"""Check the documentation that was built: `python .ci/check_docs.py SITE`.

No page loads anything from another host: no script, style sheet, font, picture or frame. Each name that a page of the
reference asks for was rendered. Uses only the standard library.
"""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOADED = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload", "manifest"}
SOURCES = {"src", "srcset", "poster", "data", "xlink:href"}
# The theme fetches facts of the repository for the first, and a program for the others.
FETCHES = ('data-md-component="source"', 'class="mermaid"', "glightbox")
OUTSIDE = re.compile(r"(?:https?:)?//")
OUTSIDE_STYLE = re.compile(r"(?:url\(\s*[\"']?|@import\s+[\"'])(?:https?:)?//[^)\"']*")


class Assets(HTMLParser):
    """The addresses that a browser loads with a page, without being asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.found += [value for name, value in values.items() if name in SOURCES]
        if (tag == "link" and LOADED & set(values.get("rel", "").split())) or tag in {"image", "use"}:
            self.found.append(values.get("href", ""))
        self.found += re.findall(r"url\(\s*[\"']?([^)\"']+)", values.get("style", ""))


def outside_assets(path: Path) -> list[str]:
    """Return what a file of the site loads from other hosts."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".css":
        return OUTSIDE_STYLE.findall(text)
    assets = Assets()
    assets.feed(text)
    found = [address for address in assets.found if OUTSIDE.match(address.strip())]
    return [*found, *OUTSIDE_STYLE.findall(text), *(word for word in FETCHES if word in text)]


def rendered(site: Path) -> set[str]:
    """Return the names in the inventory of the site, which is written while the reference is rendered."""
    packed = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    return {line.partition(" ")[0] for line in zlib.decompress(packed).decode().splitlines()}


def wanted() -> Iterator[str]:
    for page in (ROOT / "docs" / "reference" / "api").glob("*.md"):
        yield from re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE)


def main(site: Path) -> int:
    files = [path for path in sorted(site.rglob("*")) if path.suffix in {".html", ".css", ".svg"}]
    faults = [f"{path.relative_to(site)} loads {name}" for path in files for name in outside_assets(path)]
    faults += [f"the reference lacks {name}" for name in sorted(set(wanted()) - rendered(site))]
    print("\n".join(faults) or f"{len(files)} files load nothing from other hosts, and the reference is complete")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
