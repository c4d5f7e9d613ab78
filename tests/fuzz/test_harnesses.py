"""The fuzz harnesses: each invariant holds for a few hundred fixed inputs, and each harness detects a broken parser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableSequence
from random import Random

import pytest

from bedrock_stream.client import checks
from bedrock_stream.dialects.converse import Converse
from bedrock_stream.dialects.converse.reader import ConverseReader
from bedrock_stream.errors import ServiceError
from bedrock_stream.eventstream import Decoder, Frame, Headers
from bedrock_stream.sse import ServerSentEvent, SSEDecoder
from bedrock_stream.types.events import Event, MessageStop
from bedrock_stream.types.response import Response
from tests.fuzz import (
    corpus,
    fuzz_answers,
    fuzz_decoder,
    fuzz_headers,
    fuzz_http_errors,
    fuzz_readers,
    fuzz_sse,
    fuzzing,
    guided,
)
from tests.fuzz.run_all import HARNESSES

SEED = 20_250_701


@pytest.mark.parametrize("about", HARNESSES)
def test_the_invariant_holds_for_the_same_few_hundred_inputs(about: str) -> None:
    try_one, _ = HARNESSES[about]
    outcomes = fuzzing.run(try_one, seed=SEED, count=300)
    assert outcomes.total() == 300
    assert len(outcomes) > 2, "all inputs had the same outcome"


@pytest.mark.parametrize("about", HARNESSES)
def test_the_same_seed_tries_the_same_inputs(about: str) -> None:
    try_one, _ = HARNESSES[about]
    assert fuzzing.run(try_one, seed=SEED, count=40) == fuzzing.run(try_one, seed=SEED, count=40)


def test_every_family_has_several_streams_and_responses() -> None:
    assert [family.name for family in corpus.FAMILIES] == ["converse", "anthropic", "openai", "llama"]
    for family in corpus.FAMILIES:
        assert len(family.streams) >= 2
        assert len(family.answers) >= 2
        for body in family.answers:
            assert fuzz_answers.check(family, body)


class RaisesKeyError(ConverseReader):
    def feed(self, frames: Iterable[Frame], events: MutableSequence[Event]) -> None:
        raise KeyError("contentBlockIndex")


class LosesFrames(ConverseReader):
    def feed(self, frames: Iterable[Frame], events: MutableSequence[Event]) -> None:
        super().feed(list(frames)[:1], events)


class EndsEarly(ConverseReader):
    def feed(self, frames: Iterable[Frame], events: MutableSequence[Event]) -> None:
        super().feed(frames, events)
        if not self.ended:
            self.ended = True
            events.append(MessageStop("end_turn"))


@pytest.mark.parametrize("broken", [RaisesKeyError, LosesFrames, EndsEarly])
def test_a_broken_reader_is_detected_and_the_seed_is_reported(
    broken: type[ConverseReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Converse, "reader", lambda _self: broken())
    with pytest.raises((AssertionError, KeyError)) as caught:
        fuzzing.run(fuzz_readers.try_one, seed=SEED, count=300)
    assert "repeat it with --seed" in caught.value.__notes__[-1]


def accepts_any_body(_self: object, body: bytes, *, request_id: str | None, model: str) -> Response:
    return Converse().answer(corpus.FAMILIES[0].answers[0], request_id=request_id, model=model)


def raises_key_error(*_arguments: object, **_options: object) -> Response:
    raise KeyError("output")


@pytest.mark.parametrize("broken", [raises_key_error, accepts_any_body])
def test_a_broken_parser_of_responses_is_detected(
    broken: Callable[..., Response], monkeypatch: pytest.MonkeyPatch
) -> None:
    family = corpus.FAMILIES[1]
    monkeypatch.setattr(type(family.dialect), "answer", broken)
    with pytest.raises((AssertionError, KeyError)):
        fuzzing.run(fuzz_answers.try_one, seed=SEED, count=600)


def test_a_broken_parser_of_http_errors_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "http_error", lambda _answer, _body: ServiceError("", "", 500))
    with pytest.raises(AssertionError):
        fuzzing.run(fuzz_http_errors.try_one, seed=SEED, count=100)


def test_a_broken_header_decoder_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_headers, "decode_headers", lambda block: Headers({"x": len(block)}))
    with pytest.raises(AssertionError):
        fuzzing.run(fuzz_headers.try_one, seed=SEED, count=100)


def test_a_broken_decoder_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    class LosesFramesOfABatch(Decoder):
        def feed(self, data: bytes | bytearray | memoryview) -> list[Frame]:
            return super().feed(data)[:1]

    monkeypatch.setattr(fuzz_decoder, "Decoder", LosesFramesOfABatch)
    with pytest.raises(AssertionError):
        fuzzing.run(fuzz_decoder.try_one, seed=SEED, count=600)


def test_a_broken_decoder_of_server_sent_events_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    class LosesEventsOfABatch(SSEDecoder):
        def feed(self, data: bytes | bytearray | memoryview) -> list[ServerSentEvent]:
            return super().feed(data)[:1]

    monkeypatch.setattr(fuzz_sse, "SSEDecoder", LosesEventsOfABatch)
    with pytest.raises(AssertionError):
        fuzzing.run(fuzz_sse.try_one, seed=SEED, count=600)


def test_the_seed_of_a_slow_input_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzing, "SLOWEST", -1.0)
    with pytest.raises(AssertionError, match="repeat it with --seed 7"):
        fuzzing.run(lambda _random: "slow", seed=7, count=1)


def test_the_command_prints_its_outcomes_and_returns_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    def breaks(_random: Random) -> str:
        raise KeyError("k")

    assert fuzzing.command("It:", lambda _random: "read", ["--seconds", "0.01", "--seed", "1"]) == 0
    assert "inputs from seed 1" in capsys.readouterr().out
    assert fuzzing.command("It:", breaks, ["--seconds", "1", "--seed", "5"]) == 1
    assert "repeat it with --seed 5" in capsys.readouterr().err


def test_what_a_coverage_guided_fuzzer_found_is_decoded_the_same_in_any_split() -> None:
    inputs = [bytes.fromhex(line) for line in guided.CORPUS.read_text(encoding="ascii").splitlines()]
    assert len(inputs) > 20
    for data in inputs:
        guided.check_input(data)
