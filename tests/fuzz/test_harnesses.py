"""The fuzz harnesses themselves: each holds for a few hundred fixed inputs, and each notices what it is there for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from random import Random

import pytest

from bedrock_stream.client import send
from bedrock_stream.dialects.converse import Converse
from bedrock_stream.dialects.converse.reader import ConverseReader
from bedrock_stream.errors import ServiceError
from bedrock_stream.eventstream import Decoder, Frame, Headers
from bedrock_stream.types.events import Event, MessageStop
from bedrock_stream.types.response import Response
from tests.fuzz import corpus, fuzz_answers, fuzz_decoder, fuzz_headers, fuzz_http_errors, fuzz_readers, fuzzing
from tests.fuzz.run_all import HARNESSES

SEED = 20_250_701


@pytest.mark.parametrize("about", HARNESSES)
def test_the_invariant_holds_for_the_same_few_hundred_inputs(about: str) -> None:
    try_one, _ = HARNESSES[about]
    outcomes = fuzzing.run(try_one, seed=SEED, count=300)
    assert outcomes.total() == 300
    assert len(outcomes) > 2, "all inputs fared alike"


@pytest.mark.parametrize("about", HARNESSES)
def test_the_same_seed_tries_the_same_inputs(about: str) -> None:
    try_one, _ = HARNESSES[about]
    assert fuzzing.run(try_one, seed=SEED, count=40) == fuzzing.run(try_one, seed=SEED, count=40)


def test_every_family_has_streams_and_answers_of_many_kinds() -> None:
    assert [family.name for family in corpus.FAMILIES] == ["converse", "anthropic", "openai", "llama"]
    for family in corpus.FAMILIES:
        assert len(family.streams) >= 2
        assert len(family.answers) >= 2
        for body in family.answers:
            assert fuzz_answers.check(family, body)


class LetsOut(ConverseReader):
    def feed(self, frames: Iterable[Frame], events: deque[Event]) -> None:
        raise KeyError("contentBlockIndex")


class MindsBatches(ConverseReader):
    def feed(self, frames: Iterable[Frame], events: deque[Event]) -> None:
        super().feed(list(frames)[:1], events)


class EndsEarly(ConverseReader):
    def feed(self, frames: Iterable[Frame], events: deque[Event]) -> None:
        super().feed(frames, events)
        if not self.ended:
            self.ended = True
            events.append(MessageStop("end_turn"))


@pytest.mark.parametrize("broken", [LetsOut, MindsBatches, EndsEarly])
def test_a_broken_reader_is_noticed_and_its_input_named(
    broken: type[ConverseReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Converse, "reader", lambda _self: broken())
    with pytest.raises((AssertionError, KeyError)) as caught:
        fuzzing.run(fuzz_readers.try_one, seed=SEED, count=300)
    assert "repeat it with --seed" in caught.value.__notes__[-1]


def answers_whatever_comes(_self: object, body: bytes, *, request_id: str | None, model: str) -> Response:
    return Converse().answer(corpus.FAMILIES[0].answers[0], request_id=request_id, model=model)


def lets_out(*_arguments: object, **_options: object) -> Response:
    raise KeyError("output")


@pytest.mark.parametrize("broken", [lets_out, answers_whatever_comes])
def test_a_broken_parser_of_answers_is_noticed(
    broken: Callable[..., Response], monkeypatch: pytest.MonkeyPatch
) -> None:
    family = corpus.FAMILIES[1]
    monkeypatch.setattr(type(family.dialect), "answer", broken)
    with pytest.raises((AssertionError, KeyError)):
        fuzzing.run(fuzz_answers.try_one, seed=SEED, count=600)


def test_a_broken_parser_of_refusals_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "http_error", lambda _answer, _body: ServiceError("", "", 500))
    with pytest.raises(AssertionError):
        fuzzing.run(fuzz_http_errors.try_one, seed=SEED, count=100)


def test_a_broken_reader_of_headers_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_headers, "decode_headers", lambda block: Headers({"x": len(block)}))
    with pytest.raises(AssertionError):
        fuzzing.run(fuzz_headers.try_one, seed=SEED, count=100)


def test_a_broken_decoder_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgets(Decoder):
        def feed(self, data: bytes | bytearray | memoryview) -> list[Frame]:
            return super().feed(data)[:1]

    monkeypatch.setattr(fuzz_decoder, "Decoder", Forgets)
    with pytest.raises(AssertionError):
        fuzzing.run(fuzz_decoder.try_one, seed=SEED, count=600)


def test_an_input_that_takes_too_long_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzing, "SLOWEST", -1.0)
    with pytest.raises(AssertionError, match="repeat it with --seed 7"):
        fuzzing.run(lambda _random: "slow", seed=7, count=1)


def test_a_harness_tells_what_it_tried_and_whether_it_held(capsys: pytest.CaptureFixture[str]) -> None:
    def breaks(_random: Random) -> str:
        raise KeyError("k")

    assert fuzzing.command("It:", lambda _random: "read", ["--seconds", "0.01", "--seed", "1"]) == 0
    assert "inputs from seed 1" in capsys.readouterr().out
    assert fuzzing.command("It:", breaks, ["--seconds", "1", "--seed", "5"]) == 1
    assert "repeat it with --seed 5" in capsys.readouterr().err
