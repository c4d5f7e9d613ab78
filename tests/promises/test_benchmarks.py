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
from benchmarks.answers import answer, chunk, stamped, texts_of, words
from benchmarks.measure import OURS, Disagreement, Lab, Row, Sample, Setting, can_run
from benchmarks.orders import Order
from benchmarks.plot import draw
from benchmarks.servers import Servers, serving
from benchmarks.sustained import Received
from benchmarks.table import lines
from tests.support.exhaustive import takes_long

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)  # each contender of each question, on a busy machine
@takes_long
def test_every_question_is_answered_by_contenders_that_agree(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", str(file)]
    subprocess.run(command, check=True, cwd=ROOT, timeout=290)  # noqa: S603 - our own code
    rows = json.loads(file.read_text())["rows"]
    assert {row["question"] for row in rows if row["contender"] == OURS and row["value"] is not None} == set(QUESTIONS)
    assert all(row["met"] is None for row in rows)


@pytest.mark.parametrize("question", ["sign", "burst"])
def test_a_trial_runs_in_a_process_of_its_own(question: str) -> None:
    with serving() as servers:
        lab = Lab(servers, rounds=1, quick=False, report=lambda line: None)
        sample = lab.trial(question, Setting(url=servers.plain, events=20))
    assert sample.events > 0
    assert all(value > 0 for value in sample.figures.values())


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


def test_a_lower_bound_limits_the_cost_of_ours() -> None:
    lab = Fabricated(bedrock_stream=(3.0, 5), protocol=(2.0, 5))
    lab.race("burst", [OURS, "protocol"], Setting(case="one"), goals={"us": {"protocol": 1 / 1.2}})
    assert lab.rows[1].goal == "x0.833 or more, ours at most x1.2"
    assert lab.rows[1].met is False


@pytest.mark.parametrize(("streams", "met"), [(3999, False), (4000, True)])
def test_a_figure_may_have_a_minimum(streams: int, met: bool) -> None:
    lab = Fabricated()
    lab.add(Row(question="sustained", case="in time", contender=OURS, value=streams), least=4000)
    assert (lab.rows[0].goal, lab.rows[0].met) == ("4000 or more", met)


def test_a_setting_names_the_packages_that_it_needs() -> None:
    assert can_run(OURS, Setting(packages=("pytest",)))
    assert not can_run(OURS, Setting(packages=("pytest", "not-a-package")))


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


def test_server_sent_events_contain_texts() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\n"
    events = b'event: message_start\ndata: {"role":"assistant"}\n\n', b'data: {"text":" a"}\r\n\r\n: ping\n\n'
    assert texts_of("converse", head + b"".join(map(chunk, events)) + b"0\r\n\r\n") == [" a"]


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_events_of_a_stream_are_stamped_wherever_it_is_split(size: int) -> None:
    sent = [100.5, 101.25, 102.0]
    data = b"".join(map(stamped, sent))
    received = Received()
    for start in range(0, len(data), size):
        received.append(data[start : start + size])
    assert [seconds for seconds, _ in received.events()] == sent


def test_texts_of_a_stream_are_its_stamps() -> None:
    received = Received()
    received.append("000000100.500000")
    assert [seconds for seconds, _ in received.events()] == [100.5]


def test_a_stamped_delta_is_a_valid_frame() -> None:
    (frame,) = Decoder().feed(stamped(1234.5))
    assert b'"text":"000001234.500000"' in frame.payload


def test_an_order_is_encoded_as_a_prompt() -> None:
    order = Order(5, 20.0, crowd=3, stamped=True, gated=True)
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
