"""`batch --check` and `--dry-run`: what is said about IN; nothing is sent or written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bedrock_stream import errors
from bedrock_stream.cli.batch.checking import check, dry_run
from tests.support.batch_files import Files, prompt_lines
from tests.support.counting_server import CLAUDE


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


async def test_good_lines(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.write(prompt_lines(120))
    prices = files.folder / "prices.json"
    prices.write_text(json.dumps({"amazon.nova-lite": {"input": 0, "output": 1000}}))
    assert await check(files.settings(prices=str(prices))) == 0
    assert capsys.readouterr().out.splitlines() == [
        "120 rows, 0 of them cannot be sent",
        "tokens: about 512 in, at most 6,000 out",
        "cost: at most 6",
    ]
    assert files.names() == {"in.jsonl", "prices.json"}


async def test_bad_lines(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [*prompt_lines(10), {"prompt": "x", "temperature": 7}]
    files.write([*rows[:2], b"{not json", *rows[3:6], {"neither": 1}, rows[7], {**rows[8], "id": "r0"}, *rows[9:]])
    assert await check(files.settings()) == 3
    first, second, third, fourth, summary, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("line 3: is not valid JSON")
    assert second.startswith("line 7, prompt: is missing; got 'neither'")
    assert third == "line 9: has the id 'r0' of line 1; make the ids unique"
    assert fourth.startswith("line 11: temperature: ")
    assert summary == "11 rows, 4 of them cannot be sent"


async def test_only_the_first_bad_lines_are_shown(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.write([prompt_lines(1)[0], *[b"{"] * 50])
    assert await check(files.settings()) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[20:22] == ["... and 30 more", "51 rows, 50 of them cannot be sent"]


async def test_the_limits_of_a_batch_job(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.write([{"recordId": "a", "modelInput": {"inputText": "Hello"}}])
    assert await check(files.settings(model="amazon.titan-text-express-v1")) == 0
    assert "a batch job of AWS takes 100 rows or more" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("most", "operation"), [(10, "invoke"), (5000, "invoke-with-response-stream")], ids=["short", "long"]
)
async def test_the_first_request_of_a_native_body(
    files: Files, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], most: int, operation: str
) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "ABSKsecret")
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": most, "messages": []}
    files.write([{"modelInput": body}])
    assert await dry_run(files.settings(model=CLAUDE, options={})) == 0
    out = capsys.readouterr().out
    assert f"/{operation}\n" in out
    assert json.loads(out.partition("\nbody\n")[2]) == body
    assert "ABSKsecret" not in out


async def test_the_first_request_of_a_prompt(
    files: Files, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "ABSKsecret")
    files.write(prompt_lines(2))
    assert await dry_run(files.settings()) == 0
    out = capsys.readouterr().out
    assert json.loads(out.partition("\nbody\n")[2])["messages"] == [
        {"role": "user", "content": [{"text": "item=0 hello"}]}
    ]


async def test_no_first_request(files: Files) -> None:
    files.write([])
    with pytest.raises(errors.ConfigurationError, match="has no rows"):
        await dry_run(files.settings())
    files.write([b"{"])
    with pytest.raises(errors.RowInvalid, match="line 1: is not valid JSON"):
        await dry_run(files.settings())
