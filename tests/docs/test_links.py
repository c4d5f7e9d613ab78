"""Links lead somewhere, checked without the network: files, anchors, and addresses of our own repository and site."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.doc_pages import DOCS, README, ROOT, anchors, links, name_of, pages

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SITE = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]
REPOSITORY = PROJECT["urls"]["Homepage"]
# Pages of GitHub that no file of the repository stands for.
OF_GITHUB = re.compile(r"/(?:issues|pulls|actions|security|releases|discussions|stargazers)(?:[/?].*)?$")
EVERY_PAGE = [*pages(), *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"))]


def entries(nav: Any) -> list[str]:
    """Return the pages of a navigation, or of a part of it, in order."""
    if isinstance(nav, str):
        return [nav]
    return [entry for part in (nav.values() if isinstance(nav, dict) else nav) for entry in entries(part)]


def of_site(path: str) -> Path:
    """Return the file that the builder writes as this path of the site."""
    name = path.strip("/")
    folder = DOCS / name
    return next((page for page in (DOCS / f"{name}.md", folder / "index.md", folder) if page.is_file()), folder)


def target_of(page: Path, link: str) -> Path | None:
    """Return the file that a link leads to; None for other hosts and for pages of GitHub itself."""
    path = link.partition("#")[0]
    if path.startswith(SITE["site_url"]):
        return of_site(path.removeprefix(SITE["site_url"]))
    if path.startswith(REPOSITORY):
        rest = path.removeprefix(REPOSITORY)
        if rest in {"", "/", ".git"} or OF_GITHUB.match(rest):
            return None
        below = re.fullmatch(r"/(?:blob|tree|raw)/main/(.+)", rest)
        return ROOT / below[1] if below else ROOT / rest
    raw = f"https://raw.githubusercontent.com/{REPOSITORY.removeprefix('https://github.com/')}/main/"
    if path.startswith(raw):
        return ROOT / path.removeprefix(raw)
    if re.match(r"[a-z][a-z+.-]*:", path):
        return None
    return (page.parent / path).resolve() if path else page


@pytest.mark.parametrize("page", EVERY_PAGE, ids=name_of)
def test_each_link_leads_to_a_file_and_an_anchor(page: Path) -> None:
    broken = []
    for link in links(page):
        target, anchor = target_of(page, link), link.partition("#")[2]
        # The anchors of the generated reference are known only to the builder, which checks them itself.
        generated = target is not None and target.parent.name == "api"
        if target is not None and not target.exists():
            broken.append(link)
        elif anchor and target is not None and target.suffix == ".md" and not generated:
            broken += [link] if anchor not in anchors(target) else []
    assert broken == []


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=name_of)
def test_a_page_links_to_other_pages_by_relative_paths_inside_the_documentation(page: Path) -> None:
    """The builder shows only `docs`; a file outside of it is linked by its address in the repository."""
    for link in links(page):
        path = link.partition("#")[0]
        if not re.match(r"[a-z][a-z+.-]*:", path):
            assert (page.parent / path).resolve().is_relative_to(DOCS), link
        assert not path.startswith(SITE["site_url"]), link


def test_the_readme_is_complete_on_other_sites() -> None:
    """PyPI shows it too, where a relative path leads nowhere."""
    assert [link for link in links(README) if not re.match(r"https://|#", link)] == []


def test_each_page_has_one_place_in_the_navigation() -> None:
    listed = entries(SITE["nav"])
    assert len(listed) == len(set(listed))
    assert set(listed) == {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}


def test_the_site_loads_nothing_from_other_hosts() -> None:
    """`.ci/check_docs.py` looks at the pages that are built."""
    assert SITE["theme"]["font"] is False
    assert not {"repo_url", "extra_javascript"} & SITE.keys()
    assert all((DOCS / path).is_file() for path in SITE["extra_css"])
