"""The documentation is written in the same plain English as the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.promises.test_wording import AVOIDED
from tests.support.doc_pages import DOCS, name_of, prose


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=name_of)
def test_no_page_contains_a_phrase_to_avoid(page: Path) -> None:
    assert [match[0] for match in AVOIDED.finditer(" ".join(prose(page).split()))] == []
