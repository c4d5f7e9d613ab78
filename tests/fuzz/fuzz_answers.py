# The invariant: whatever body a whole answer has, its dialect raises nothing but BedrockStreamError, or gives a
# Response whose message can be sent back as history; the same body always comes to the same; and a body that was cut
# is never an answer.
"""Run by hand: `python -m tests.fuzz.fuzz_answers --seconds 120 [--seed N]`: Converse, Claude, gpt-oss and Llama."""

from __future__ import annotations

import sys
from random import Random

from bedrock_stream.dialects import Dialect
from bedrock_stream.errors import BedrockStreamError, InvalidFrame
from bedrock_stream.types.response import Response
from tests.fuzz.corpus import FAMILIES, Family, send_back
from tests.fuzz.fuzzing import command, mutated_json


def read(dialect: Dialect, body: bytes) -> Response | str:
    try:
        return dialect.answer(body, request_id="r", model="m")
    except BedrockStreamError as error:
        return repr(error)


def check(family: Family, body: bytes) -> Response | str:
    """Raise AssertionError, or whatever was let out, where the invariant does not hold."""
    outcome = read(family.dialect, body)
    assert outcome == read(family.dialect, body)
    if isinstance(outcome, Response):
        assert repr(outcome)
        send_back(family, outcome.message)
    return outcome


def check_cut(dialect: Dialect, body: bytes) -> None:
    try:
        dialect.answer(body, request_id="r", model="m")
    except InvalidFrame:
        return
    raise AssertionError("a cut body became an answer")


def try_one(random: Random) -> str:
    family = random.choice(FAMILIES)
    body = random.choice(family.answers)
    cut = random.random() < 0.05
    body = body[: random.randrange(len(body))] if cut else mutated_json(random, body)
    try:
        if cut:
            check_cut(family.dialect, body)
            return f"{family.name} cut"
        outcome = check(family, body)
    except BaseException as failure:
        failure.add_note(f"{family.name}: {body!r}")
        raise
    return f"{family.name} {'refused' if isinstance(outcome, str) else 'read'}"


if __name__ == "__main__":
    sys.exit(command("Whole answers:", try_one))
