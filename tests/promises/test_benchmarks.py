"""The benchmarks run, and their contenders agree. The measured values are not checked here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bedrock_stream.eventstream import Decoder
from benchmarks.__main__ import QUESTIONS
from benchmarks.answers import answer, stamped, texts_of, words
from benchmarks.measure import OURS, Disagreement, Lab, Sample, Setting
from benchmarks.orders import Order
from benchmarks.plot import draw
from benchmarks.servers import Servers
from benchmarks.table import lines

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_by_contenders_that_agree(question: str, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", str(file), question]
    subprocess.run(command, check=True, cwd=ROOT, timeout=55)  # noqa: S603 - our own code
    rows = json.loads(file.read_text())["rows"]
    assert any(row["contender"] == OURS and row["value"] is not None for row in rows)
    assert all(row["question"] == question and row["met"] is None for row in rows)


def test_every_question_is_asked() -> None:
    files = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "def ask(" in path.read_text()}
    assert files == set(QUESTIONS)


class Fabricated(Lab):
    """A lab with invented trials: the cost of each contender, and the number of texts it read."""

    def __init__(self, **samples: tuple[float, int]) -> None:
        super().__init__(Servers("", None, None), rounds=3, quick=False, report=lambda line: None)
        self._samples = samples

    def trial(self, question: str, setting: Setting) -> Sample:
        cost, events = self._samples[setting.contender]
        return Sample({"us": cost}, "digest", events)


def test_a_race_gives_medians_ratios_and_promises() -> None:
    lab = Fabricated(bedrock_stream=(2.0, 5), protocol=(4.0, 5))
    lab.race("burst", [OURS, "protocol"], Setting(case="one"), goals={"us": {"protocol": 3}}, most={"us": 2})
    first, second = lab.rows
    assert (first.value, first.ratio, first.goal, first.met) == (2.0, None, "2 or less", True)
    assert (second.value, second.ratio, second.goal, second.met) == (4.0, 2.0, "x3 or more", False)
    assert lines(lab.rows)[-1].split() == ["protocol", "4.00", "us", "2.00", "x3", "or", "more", "MISSED"]


def test_a_contender_that_reads_fewer_texts_is_rejected() -> None:
    lab = Fabricated(bedrock_stream=(2.0, 5), protocol=(1.0, 4))
    with pytest.raises(Disagreement, match="protocol read 4 texts"):
        lab.race("burst", [OURS, "protocol"], Setting(case="one"))


def test_a_contender_that_is_not_installed_is_reported_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.contenders.version", lambda package: None)
    lab = Fabricated(bedrock_stream=(2.0, 5))
    lab.race("burst", [OURS, "litellm"], Setting(case="one"))
    assert lab.rows[1].value is None
    assert lines(lab.rows)[-1].split() == ["litellm", "missing"]


def test_a_plot_is_a_picture_of_the_burst() -> None:
    lab = Fabricated(bedrock_stream=(2.0, 5), protocol=(4.0, 5))
    with pytest.raises(ValueError, match="no burst"):
        draw(lab.rows)
    lab.race("burst", [OURS, "protocol"], Setting(case="one"))
    picture = ElementTree.fromstring(draw(lab.rows))  # noqa: S314 - generated above
    assert sum(element.tag.endswith("rect") for element in picture) == 2


@pytest.mark.parametrize("form", ["converse", "invoke"])
def test_an_answer_contains_its_words(form: str) -> None:
    assert texts_of(form, answer(form, 100).whole()) == words(100)


def test_a_stamped_delta_is_a_valid_frame() -> None:
    (frame,) = Decoder().feed(stamped(1234.5))
    assert b'"text":"000001234.500000"' in frame.payload


def test_an_order_is_encoded_as_a_prompt() -> None:
    order = Order(5, 20.0, crowd=3, stamped=True)
    assert Order.read(b'{"text":"' + order.prompt().encode() + b'"}') == order
    with pytest.raises(ValueError, match="no order"):
        Order.read(b"Hello")


def test_side_by_side_reports_both_clients_and_ours_is_correct(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    command = [sys.executable, "-m", "benchmarks.side_by_side", "--wait", "1", "--json", str(file)]
    subprocess.run(command, check=True, cwd=ROOT, timeout=55)  # noqa: S603 - our own code
    found = json.loads(file.read_text())["found"]
    assert all(theirs for theirs, _ in found.values())
    assert [ours for _, ours in found.values()] == [
        "answered at once, 0 of 10 still open",
        "answered at once, 0 of 10 still open",
        "StreamInterrupted after 'It is not'",
        "Throttled, status 429",
        "Throttled, status 429",
    ]
