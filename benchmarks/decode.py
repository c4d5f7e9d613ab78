"""CPU time per event of decoding alone: bytes to frames, to typed events, and Claude's base64 chunks.

Each contender decodes the same answer in the same 4 KiB reads, from memory. Frames: our decoder and botocore's buffer.
Events: our decoder and dialect, and botocore's `EventStream` with its parser. Native: our decoder and dialect, and the
Anthropic SDK's decoder with its models. The lower bound ("floor") walks over the frames of the complete answer at once,
checks one CRC with zlib and decodes the payload with msgspec, the least that is possible in Python. For frames it omits
msgspec.

Tried without success:
- crcmod's C extension instead of zlib: about four times slower for the same checksum.
- One cache lookup for prelude and header block together: x0.96 of two separate lookups, but x1.05 of a lookup of the
  prelude alone with a comparison of the rest.
- Padding decoded as `msgspec.Raw`, or omitted from the struct: no measurable difference.
"""

from __future__ import annotations

import hashlib
import time

from .answers import answer, reads
from .decoders import DECODERS
from .measure import FLOOR, OURS, Lab, Sample, Setting

__all__ = ("ask", "trial")

_UNIT = "us/event"


def ask(lab: Lab) -> None:
    """Run the contenders."""
    events = lab.pick(8000, 100)
    contenders = [OURS, FLOOR, "boto3"]
    lab.race("decode", contenders, Setting(case="frames", events=events))
    lab.race("decode", contenders, Setting(case="events", events=events), goals={_UNIT: {FLOOR: 1 / 3, "boto3": 10}})
    native = Setting(case="native", form="invoke", events=events)
    lab.race("decode", [OURS, FLOOR, "anthropic"], native, goals={_UNIT: {"anthropic": 10}})


def trial(setting: Setting) -> Sample:
    """Measure the CPU time of decoding one answer."""
    pieces = reads(answer(setting.form, setting.events).whole())
    decode = DECODERS[setting.case, setting.contender]()
    decode(pieces[:1])  # warm up
    start = time.process_time()
    decoded = decode(pieces)
    cost = time.process_time() - start
    digest = hashlib.sha256("".join(decoded).encode() if isinstance(decoded[0], str) else b"".join(decoded))
    return Sample({_UNIT: cost / setting.events * 1e6}, digest.hexdigest()[:16], len(decoded))
