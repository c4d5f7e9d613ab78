"""CPU time per event of decoding alone: bytes to frames, to server-sent events, to typed events, and Claude's chunks.

Each contender decodes the same answer in the same 4 KiB reads, from memory. Frames: our decoder and botocore's buffer.
SSE: our decoder of server-sent events and the Anthropic SDK's, both without JSON; in the same process ours is compared
with our decoder of frames. Events: our decoder and dialect, and botocore's `EventStream` with its parser. Native: our
decoder and dialect, and the Anthropic SDK's decoder with its models. Messages and chat: server-sent events to typed
events, in the same process compared with Converse's frames to typed events. The lower bound ("floor") walks over the
frames of the complete answer at once, checks one CRC with zlib and decodes the payload with msgspec, the least that is
possible in Python. For frames it omits msgspec; server-sent events it only splits.

Tried without success:
- crcmod's C extension instead of zlib: about four times slower for the same checksum.
- One cache lookup for prelude and header block together: x0.96 of two separate lookups, but x1.05 of a lookup of the
  prelude alone with a comparison of the rest.
- Padding decoded as `msgspec.Raw`, or omitted from the struct: no measurable difference.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

from .answers import answer, reads, server_sent
from .decoders import DECODERS
from .measure import FLOOR, OURS, Lab, Sample, Setting

__all__ = ("ask", "trial")

_UNIT = "us/event"
_OF_FRAMES = "x frames"
"""The cost of a server-sent event, divided by that of a frame of Converse with the same text."""
_COMPARED = {"sse": "frames", "messages": "events", "chat": "events"}


def ask(lab: Lab) -> None:
    """Run the contenders."""
    events = lab.pick(8000, 100)
    contenders = [OURS, FLOOR, "boto3"]
    lab.race("decode", contenders, Setting(case="frames", events=events))
    lab.race("decode", [OURS, FLOOR, "anthropic"], Setting(case="sse", events=events), most={_OF_FRAMES: 2})
    lab.race("decode", contenders, Setting(case="events", events=events), goals={_UNIT: {FLOOR: 1 / 3, "boto3": 10}})
    native = Setting(case="native", form="invoke", events=events)
    lab.race("decode", [OURS, FLOOR, "anthropic"], native, goals={_UNIT: {"anthropic": 10}})
    for form, contenders in (("messages", [OURS, "anthropic"]), ("chat", [OURS])):
        setting = Setting(case=form, form=form, events=events)
        lab.race("decode", contenders, setting, goals={_UNIT: {"anthropic": 10}}, most={_OF_FRAMES: 2})


def trial(setting: Setting) -> Sample:
    """Measure the CPU time of decoding one answer."""
    is_sse = setting.case == "sse"
    whole = server_sent(setting.events) if is_sse else answer(setting.form, setting.events).whole()
    cost, decoded = _timed(setting.case, setting.contender, reads(whole))
    figures = {_UNIT: cost / setting.events * 1e6}
    if setting.case in _COMPARED and setting.contender == OURS:
        of_frames, _ = _timed(_COMPARED[setting.case], OURS, reads(answer("converse", setting.events).whole()))
        figures[_OF_FRAMES] = cost / of_frames
    digest = hashlib.sha256("".join(decoded).encode() if isinstance(decoded[0], str) else b"".join(decoded))
    return Sample(figures, digest.hexdigest()[:16], len(decoded))


def _timed(case: str, contender: str, pieces: list[bytes]) -> tuple[float, list[Any]]:
    """Return the CPU time of decoding these reads, in seconds, and what was decoded."""
    decode = DECODERS[case, contender]()
    decode(pieces[:1])  # warm up
    start = time.process_time()
    decoded = decode(pieces)
    return time.process_time() - start, decoded
