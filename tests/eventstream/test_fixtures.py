"""The streams in `fixtures/`: up to date, decodable for every split, and equal to their descriptions."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from bedrock_stream.eventstream import Decoder
from tests.support.frame_samples import read_every_way

FIXTURES = Path(__file__).parents[2] / "fixtures"
NAMES = [
    "converse_citations",
    "converse_exception_only",
    "converse_reasoning_then_text",
    "converse_redacted_reasoning",
    "converse_server_tool",
    "converse_text",
    "converse_tool_call",
    "converse_unknown_event",
]


def load(directory: Path) -> ModuleType:
    """Load the script from `directory`, where it writes its files."""
    spec = importlib.util.spec_from_file_location("make_streams", directory / "make_streams.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def described(name: str) -> dict[str, Any]:
    description: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
    return description


def test_the_fixtures_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert load(FIXTURES).main(["--check"]) == 0, capsys.readouterr().out


def test_the_check_reports_stale_and_missing_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(FIXTURES / "make_streams.py", tmp_path)
    script = load(tmp_path)
    assert script.main(["--check"]) == 1
    assert script.main([]) == 0
    assert script.main(["--check"]) == 0
    (tmp_path / "converse_text.bin").write_bytes(b"something else")
    capsys.readouterr()
    assert script.main(["--check"]) == 1
    assert capsys.readouterr().out == "converse_text.bin is not up to date\n"


def test_the_script_is_deterministic(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "make_streams.py", tmp_path)
    load(tmp_path).main([])
    for name in NAMES:
        for ending in ("bin", "json"):
            assert (tmp_path / f"{name}.{ending}").read_bytes() == (FIXTURES / f"{name}.{ending}").read_bytes()


def test_every_stream_has_a_body_and_a_description() -> None:
    assert sorted(load(FIXTURES).SCRIPTS) == NAMES
    for name in NAMES:
        assert (FIXTURES / f"{name}.bin").stat().st_size == described(name)["bytes"]


@pytest.mark.parametrize("name", NAMES)
def test_every_stream_is_decoded_for_every_split_and_equals_its_description(name: str) -> None:
    data = (FIXTURES / f"{name}.bin").read_bytes()
    outcome = read_every_way(data, range(0, len(data), 61))
    assert outcome.error is None
    decoded = [
        {
            "kind": headers[":message-type"][1],
            "name": headers[f":{headers[':message-type'][1]!s}-type"][1],
            "payload": json.loads(payload),
        }
        for headers, payload in outcome.frames
    ]
    expected = described(name)["frames"]
    assert decoded == [{key: frame[key] for key in ("kind", "name", "payload")} for frame in expected]


@pytest.mark.parametrize("name", NAMES)
def test_botocore_decodes_the_same_frames(name: str) -> None:
    data = (FIXTURES / f"{name}.bin").read_bytes()
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    theirs = [(dict(message.headers), message.payload) for message in buffer]
    assert theirs == [(frame.headers, frame.payload) for frame in Decoder().feed(data)]


def test_every_event_has_padding_and_one_has_it_inside_its_object() -> None:
    events = [frame for name in NAMES for frame in described(name)["frames"] if frame["kind"] == "event"]
    assert all("p" in event["payload"] for event in events)
    assert sum(list(event["payload"])[-1] != "p" for event in events) == 1
    assert len({len(event["payload"]["p"]) for event in events}) > 10
