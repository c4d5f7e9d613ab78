"""A local Bedrock Runtime for tests, and the functions of its scripts. Needs `pip install "bedrock-stream[testing]"`.

    async with Emulator(script=[[text("Hello"), stop("end_turn")]]) as emulator:
        ...  # any AWS client, with emulator.url as its endpoint

Under pytest, the fixture `bedrock_emulator` is a running emulator; see `bedrock_stream.testing.plugin`. The functions
of scripts are documented in `bedrock_stream.testing.script`. Every name is imported on first use, because pytest loads
this package before coverage is measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _lazy_attributes

if TYPE_CHECKING:
    from .answers.chances import chance as chance
    from .recorder import record as record
    from .recording import Recording as Recording
    from .recording import read_recording as read_recording
    from .script import SIGNATURE as SIGNATURE
    from .script import citation as citation
    from .script import comment as comment
    from .script import content_type as content_type
    from .script import cut as cut
    from .script import delay as delay
    from .script import double_answer as double_answer
    from .script import end_block as end_block
    from .script import event as event
    from .script import expired_signature as expired_signature
    from .script import flip_bit as flip_bit
    from .script import garbage_chunk as garbage_chunk
    from .script import hang_before_headers as hang_before_headers
    from .script import headers as headers
    from .script import http_error as http_error
    from .script import late_fin as late_fin
    from .script import line_ends as line_ends
    from .script import metadata as metadata
    from .script import no_done as no_done
    from .script import raw_frame as raw_frame
    from .script import raw_lines as raw_lines
    from .script import reasoning as reasoning
    from .script import rechunk as rechunk
    from .script import replay as replay
    from .script import reset as reset
    from .script import response_failed as response_failed
    from .script import slow_body as slow_body
    from .script import stall as stall
    from .script import start as start
    from .script import stop as stop
    from .script import stream_error as stream_error
    from .script import text as text
    from .script import tool_call as tool_call
    from .script import typeless_error as typeless_error
    from .script import unknown_operation as unknown_operation
    from .script import unmodeled_error as unmodeled_error
    from .script import unscripted as unscripted
    from .script import unsolicited as unsolicited
    from .script import wrong_content_type as wrong_content_type
    from .script import wrong_route as wrong_route
    from .service.account_quota import AccountQuota as AccountQuota
    from .service.asgi import visit as visit
    from .service.credential_service import CredentialFault as CredentialFault
    from .service.credential_service import CredentialService as CredentialService
    from .service.credential_service import Foreign as Foreign
    from .service.received import ReceivedRequest as ReceivedRequest
    from .service.server import ACCESS_KEY_ID as ACCESS_KEY_ID
    from .service.server import API_KEY as API_KEY
    from .service.server import CREDENTIALS as CREDENTIALS
    from .service.server import REGION as REGION
    from .service.server import SECRET_ACCESS_KEY as SECRET_ACCESS_KEY
    from .service.server import Emulator as Emulator
    from .service.verification import Keys as Keys
    from .steps import Answer as Answer
    from .steps import Step as Step
    from .threaded import ThreadedEmulator as ThreadedEmulator

_MODULES = {
    "answers.chances": ("chance",),
    "recorder": ("record",),
    "recording": ("Recording", "read_recording"),
    "script": (
        "SIGNATURE",
        "citation",
        "comment",
        "content_type",
        "cut",
        "delay",
        "double_answer",
        "end_block",
        "event",
        "expired_signature",
        "flip_bit",
        "garbage_chunk",
        "hang_before_headers",
        "headers",
        "http_error",
        "late_fin",
        "line_ends",
        "metadata",
        "no_done",
        "raw_frame",
        "raw_lines",
        "reasoning",
        "rechunk",
        "replay",
        "reset",
        "response_failed",
        "slow_body",
        "stall",
        "start",
        "stop",
        "stream_error",
        "text",
        "tool_call",
        "typeless_error",
        "unknown_operation",
        "unmodeled_error",
        "unscripted",
        "unsolicited",
        "wrong_content_type",
        "wrong_route",
    ),
    "service.account_quota": ("AccountQuota",),
    "service.asgi": ("visit",),
    "service.credential_service": ("CredentialFault", "CredentialService", "Foreign"),
    "service.received": ("ReceivedRequest",),
    "service.server": ("ACCESS_KEY_ID", "API_KEY", "CREDENTIALS", "Emulator", "REGION", "SECRET_ACCESS_KEY"),
    "service.verification": ("Keys",),
    "steps": ("Answer", "Step"),
    "threaded": ("ThreadedEmulator",),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = tuple(_MODULE_OF)

if not TYPE_CHECKING:  # a type checker then reports a misspelled import
    __getattr__, __dir__ = _lazy_attributes(globals(), _MODULE_OF)
