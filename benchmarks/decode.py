"""What does one event cost from bytes to frame, to typed event, and out of Claude's base64 chunks?

Each contender reads the same answer in the same 4 KiB reads, from memory. Frames: our decoder against botocore's
buffer. Events: decoder and dialect against botocore's `EventStream` with its parser. Native: decoder and dialect
against the Anthropic SDK's decoder and its parsing into models. The floor walks over the frames of the whole answer at
once, checks one CRC with zlib and has msgspec decode the payload, which nobody in Python goes below; among frames it
leaves out msgspec.

Tried and lost:
- crcmod's C extension in place of zlib: some four times slower for the same checksum.
- A head looked up whole, prelude and header block as one key: x0.96 of what two memos cost, but x1.05 of what it costs
  to look up the prelude alone and compare the rest.
- Padding read as `msgspec.Raw`, or left out of the struct: no difference that stands out of the noise.
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
    """Race them."""
    events = lab.pick(8000, 100)
    contenders = [OURS, FLOOR, "boto3"]
    lab.race("decode", contenders, Setting(case="frames", events=events))
    lab.race("decode", contenders, Setting(case="events", events=events), goals={_UNIT: {FLOOR: 1 / 3, "boto3": 10}})
    native = Setting(case="native", form="invoke", events=events)
    lab.race("decode", [OURS, FLOOR, "anthropic"], native, goals={_UNIT: {"anthropic": 10}})


def trial(setting: Setting) -> Sample:
    """Decode it all and count the CPU time."""
    pieces = reads(answer(setting.form, setting.events).whole())
    decode = DECODERS[setting.case, setting.contender]()
    decode(pieces[:1])
    began = time.process_time()
    found = decode(pieces)
    cost = time.process_time() - began
    digest = hashlib.sha256("".join(found).encode() if isinstance(found[0], str) else b"".join(found))
    return Sample({_UNIT: cost / setting.events * 1e6}, digest.hexdigest()[:16], len(found))
