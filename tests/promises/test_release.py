"""What a release says of itself is the same everywhere. `.ci/release` checks the files that are published."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest

import bedrock_stream
from bedrock_stream import Client
from bedrock_stream.testing import Emulator

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
VERSION = bedrock_stream.__version__


def test_the_version_is_written_in_one_place() -> None:
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]
    assert "version" in PROJECT["dynamic"]
    assert hatch["version"]["path"] == "bedrock_stream/_version.py"
    written = re.compile(rf"__version__ *=|['\"/]{re.escape(VERSION)}['\"]")
    package = ROOT / "bedrock_stream"
    found = {p.relative_to(package).as_posix() for p in package.rglob("*.py") if written.search(p.read_text("utf-8"))}
    assert found == {"_version.py"}


def test_the_changelog_begins_with_this_version() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines()
    head = next(line for line in lines if line.startswith("## "))
    version = re.escape(VERSION)
    assert re.fullmatch(rf"## (Unreleased \({version}\)|{version} \(\d{{4}}-\d\d-\d\d\))", head)


async def test_a_request_names_the_version(emulator: Emulator, client: Client) -> None:
    await client.generate("amazon.nova-lite-v1:0", "Hello")
    assert emulator.requests[0].headers["User-Agent"] == f"bedrock-stream/{VERSION}"


def test_links_are_absolute_and_all_of_one_repository() -> None:
    homepage = PROJECT["urls"]["Homepage"]
    assert {"Changelog", "Documentation", "Issues", "Source"} <= set(PROJECT["urls"])
    assert all(url.startswith(homepage) for url in PROJECT["urls"].values())
    for page in ("CONTRIBUTING.md", "SECURITY.md"):
        links = re.findall(r"https://github\.com/[\w.-]+/[\w.-]+", (ROOT / page).read_text("utf-8"))
        assert set(links) <= {homepage}


@pytest.mark.parametrize("page", ["CHANGELOG.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"])
def test_relative_links_lead_to_files(page: str) -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text("utf-8")):
        assert (ROOT / link).exists(), link


def test_each_entry_point_exists() -> None:
    points = [*PROJECT["scripts"].values(), *PROJECT["entry-points"]["pytest11"].values()]
    for point in points:
        module, _, name = point.partition(":")
        target = importlib.import_module(module)
        assert not name or callable(getattr(target, name))


def test_annotations_are_announced_to_type_checkers() -> None:
    assert "Typing :: Typed" in PROJECT["classifiers"]
    assert (ROOT / "bedrock_stream" / "py.typed").exists()
