"""The documentation is written in the same plain English as the package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.promises.test_wording import AVOIDED
from tests.support.doc_pages import DOCS, name_of, prose

# "There is no X" is plain English, unlike "Y is no X"; and a page may name Python's `None` without marking it as code.
ALLOWED = re.compile(r"\b[Tt]here (?:is|are) no(?:ne)?\b|\b(?:is|are) None\b")


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=name_of)
def test_no_page_contains_a_phrase_to_avoid(page: Path) -> None:
    text = ALLOWED.sub("", " ".join(prose(page).split()))
    assert [match[0] for match in AVOIDED.finditer(text)] == []
