# The invariant: for any body of a complete response, the dialect either raises a BedrockStreamError or returns a
# Response whose message can be sent back as history. The same body always has the same outcome. A truncated body is
# never a Response.
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
    """Check the invariant; an exception that escapes or an AssertionError is a failure."""
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
    raise AssertionError("a truncated body became a response")


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
    sys.exit(command("Complete responses:", try_one))
