"""`explain`: what would be sent, where and why, with secrets masked and nothing sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bedrock_stream.cli.app import invoke
from bedrock_stream.testing import ACCESS_KEY_ID, SECRET_ACCESS_KEY

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)


def test_text(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 1000)
    arguments = ["--region", "eu-west-1", "--temperature", "0.5", "--image", str(tmp_path / "page.png")]
    assert invoke(["explain", CLAUDE, "Hello", *arguments]) == 0
    output = capsys.readouterr().out
    for line in (
        f"model     {CLAUDE} (claude)",
        "route     invoke: claude without tools uses its native format",
        "region    eu-west-1",
        "endpoint  from the region",
        "auth      sigv4, AWS_ACCESS_KEY_ID",
        "header    Authorization: AWS4-HMAC-SHA256 Credential=..., Signature=...",
        '  "temperature": 0.5',
    ):
        assert f"{line}\n" in output
    assert "(1344 characters; --json shows all)" in output
    assert SECRET_ACCESS_KEY not in output
    assert output.endswith("}\n")


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["explain", "amazon.nova-lite-v1:0", "Hello", "--stop", "a", "--stop", "b", "--json"]) == 0
    explanation = json.loads(capsys.readouterr().out)
    assert explanation["route"] == "converse"
    assert explanation["body"]["inferenceConfig"] == {"stopSequences": ["a", "b"]}


def test_the_api_and_the_endpoint_are_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--api", "responses", "--endpoint", "mantle", "--region", "us-west-2"]
    assert invoke(["explain", "openai.gpt-oss-120b", "Hello", *arguments]) == 0
    output = capsys.readouterr().out
    assert "route     responses: api='responses', endpoint='mantle'\n" in output
    assert "request   POST https://bedrock-mantle.us-west-2.api.aws/v1/responses\n" in output


def test_an_unknown_api(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["explain", CLAUDE, "Hello", "--api", "completions"]) == 2
    assert capsys.readouterr().err.startswith("bedrock-stream: --api: expected one of converse, invoke, ")


def test_changes_are_listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEDROCK_STREAM_UNSUPPORTED", "drop")
    assert invoke(["explain", "us.anthropic.claude-opus-4-8", "Hello", "--top-p", "0.5"]) == 0
    assert "changed   top_p" in capsys.readouterr().out


def test_a_refused_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["explain", "us.anthropic.claude-opus-4-8", "Hello", "--top-p", "0.5"]) == 2
    assert capsys.readouterr().err.startswith("bedrock-stream: --top-p: ")
