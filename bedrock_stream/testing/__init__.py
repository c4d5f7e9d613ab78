"""A local Bedrock Runtime for tests, and the words of its scripts. Needs `pip install "bedrock-stream[testing]"`.

async with Emulator(script=[[text("Hello"), stop("end_turn")]]) as emulator:
    ...  # any AWS client, with emulator.url as its endpoint
"""

from .received import ReceivedRequest
from .script import (
    SIGNATURE,
    citation,
    content_type,
    cut,
    delay,
    end_block,
    event,
    flip_bit,
    hang_before_headers,
    headers,
    http_error,
    metadata,
    raw_frame,
    reasoning,
    rechunk,
    replay,
    reset,
    stall,
    start,
    stop,
    stream_error,
    text,
    tool_call,
    unmodeled_error,
)
from .server import ACCESS_KEY_ID, API_KEY, CREDENTIALS, REGION, SECRET_ACCESS_KEY, Emulator
from .steps import Answer, Step
from .verification import Keys

__all__ = (
    "Emulator",
    "ReceivedRequest",
    # who gets in
    "ACCESS_KEY_ID",
    "API_KEY",
    "CREDENTIALS",
    "REGION",
    "SECRET_ACCESS_KEY",
    "Keys",
    # the message
    "SIGNATURE",
    "citation",
    "end_block",
    "event",
    "metadata",
    "raw_frame",
    "reasoning",
    "start",
    "stop",
    "text",
    "tool_call",
    # decided before the headers
    "content_type",
    "hang_before_headers",
    "headers",
    "http_error",
    "replay",
    # faults
    "cut",
    "delay",
    "flip_bit",
    "rechunk",
    "reset",
    "stall",
    "stream_error",
    "unmodeled_error",
    # types
    "Answer",
    "Step",
)
