"""The pages of the documentation and README as data: code blocks, headings with their anchors, and links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"

_BLOCK = re.compile(
    r"^(?P<indent> *)(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<code>.*?)^ *(?P=fence) *$", re.MULTILINE | re.DOTALL
)
_HEADING = re.compile(r"^(#{1,6}) +(.+?)(?: +\{ *#([\w-]+) *\})? *#* *$", re.MULTILINE)
_LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?: +\"[^\"]*\")?\)")
_REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]: +(\S+)", re.MULTILINE)
_ID = re.compile(r"<(?:a|h\d|div|span)\b[^>]*\b(?:id|name)=\"([^\"]+)\"")
_TITLE = re.compile(r"title=\"([^\"]*)\"")
NOT_RUN = "not run"


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its title, its program and the line of the page on which that begins."""

    language: str
    title: str
    code: str
    line: int

    @property
    def runs(self) -> bool:
        """True if the block is a Python program that its page does not exempt."""
        return self.language == "python" and self.title != NOT_RUN

    @property
    def tests(self) -> bool:
        """True if the block has functions for pytest."""
        return re.search(r"^(?:async )?def test_", self.code, re.MULTILINE) is not None


def pages() -> list[Path]:
    """Return each page of the documentation, and README."""
    return [README, *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """Return the path of a page below the root of the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order. The indentation of a block in a list is no part of its program."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        title = _TITLE.search(match["info"])
        code = re.sub(rf"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(Block(match["info"].partition(" ")[0], title[1] if title else "", code, line))
    return found


def prose(page: Path) -> str:
    """Return the text of a page without its fenced blocks and without code spans."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "`code`", text, flags=re.DOTALL)


def slug(title: str) -> str:
    """Return the anchor of a heading by Python-Markdown's rule, which is GitHub's too for our titles."""
    plain = re.sub(r"[`*]|\]\([^)]*\)|\[", "", title)
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page, with those of the files that it includes."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    found: set[str] = set(_ID.findall(text))
    for _, title, given in _HEADING.findall(text):
        name, number = given or slug(title), 0
        while (unique := f"{name}_{number}" if number else name) in found:
            number += 1
        found.add(unique)
    for included in re.findall(r"^--8<-- \"([^\"]+)\"$", text, re.MULTILINE):
        found |= anchors(ROOT / included)
    return found


def links(page: Path) -> list[str]:
    """Return the targets of a page's links and pictures."""
    text = prose(page)
    html = re.findall(r"\b(?:href|src|srcset)=\"([^\"]+)\"", text)
    return [*_LINK.findall(text), *_REFERENCE.findall(text), *html]
