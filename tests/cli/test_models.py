"""`models`, and the search in the capability table behind it."""

from __future__ import annotations

import json
import sys

import pytest

from bedrock_stream.cli.app import invoke
from bedrock_stream.cli.catalog import find_rows, nearest
from bedrock_stream.cli.terminal import clean
from bedrock_stream.request.models.table import ROWS
from tests.support.command_line import Screen


def _names(pattern: str | None) -> list[str]:
    return [row.facts.name for row in find_rows(pattern)]


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("claude-opus-4-8", "Claude Opus 4.8"),
        ("Opus 4.8", "Claude Opus 4.8"),
        ("us.anthropic.claude-opus-4-8-v1:0", "Claude Opus 4.8"),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-8", "Claude Opus 4.8"),
        ("NOVA MICRO", "Nova Micro"),
    ],
)
def test_a_pattern_is_part_of_a_name_or_a_whole_id(pattern: str, name: str) -> None:
    assert _names(pattern) == [name]


def test_no_pattern_means_every_known_model() -> None:
    assert len(_names(None)) == sum(row.known for row in ROWS)
    assert _names("no such thing") == []


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("us.antropic.claude-sonet-4-5-20250929-v1:0", "anthropic.claude-sonnet-4-5"),
        ("claude-sonnet-4-5", "anthropic.claude-sonnet-4-5"),
        ("amazon.nova-lit-v1:0", "amazon.nova-lite"),
        ("openai.gpt-oss120b", "openai.gpt-oss-120b"),
    ],
)
def test_the_nearest_id_of_a_mistyped_one(typed: str, expected: str) -> None:
    assert nearest(typed)[0] == expected


def test_nothing_is_near_to_nonsense() -> None:
    assert nearest("xxxxxxxx") == nearest("") == []


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["models", "claude"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ids", "begin", "with", "family", "route", "reasoning", "tools", "input"]
    row = next(line for line in lines if line.startswith("anthropic.claude-opus-4-8"))
    assert row.split()[1:3] == ["claude", "invoke"]
    assert all(line == line.rstrip() for line in lines)
    assert invoke(["models", "xai.grok"]) == 0
    assert "Chat on mantle" in capsys.readouterr().out


def test_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", screen := Screen())
    monkeypatch.setenv("COLUMNS", "120")
    assert invoke(["models", "claude"]) == 0
    lines = clean(screen.getvalue()).splitlines()
    assert all(len(line) <= 120 for line in lines)
    assert any(line.startswith("anthropic.claude-mythos-preview  claude") for line in lines)


def test_few_matches_are_shown_in_detail(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["models", "us.amazon.nova-lite-v1:0"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("Nova 1\n")
    assert "  caching        from 1000\n" in output


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["models", "gpt", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    by_name = {row["name"]: row for row in rows}
    assert by_name["gpt-oss"]["route"] == "invoke"
    assert by_name["gpt-oss"]["ids"] == ["openai.gpt-oss-20b", "openai.gpt-oss-120b"]
    assert by_name["GPT-5.4 and 5.5"]["route"] == "converse"
    assert by_name["GPT-5.6 Cyber and Daybreak"]["route"] == "responses"


def test_no_match(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["models", "antropic.claude-sonet-5"]) == 2
    message = "PATTERN: no model matches 'antropic.claude-sonet-5'; similar ids begin with anthropic.claude-sonnet-5"
    assert message in capsys.readouterr().err
    assert invoke(["models", "xxxxxxxx"]) == 2
    assert "leave it out" in capsys.readouterr().err
