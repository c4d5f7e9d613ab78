"""The pictures of the architecture are what their script draws, and a real stream takes the way that one shows."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

import bedrock_stream
from bedrock_stream import Client, Credentials
from bedrock_stream.testing import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Emulator
from tests.docs.draw_pictures import PICTURES, STEPS, draw_layers, draw_request

ROOT = Path(bedrock_stream.__file__).parent


def test_the_picture_of_the_layers_is_up_to_date() -> None:
    """If this fails: `python -m tests.docs.draw_pictures`."""
    assert (PICTURES / "layers.svg").read_text(encoding="utf-8") == draw_layers()


def test_the_picture_of_a_request_is_up_to_date() -> None:
    """If this fails: `python -m tests.docs.draw_pictures`."""
    assert (PICTURES / "request.svg").read_text(encoding="utf-8") == draw_request()


async def test_a_stream_takes_the_way_of_the_picture() -> None:
    steps = [name for phase in STEPS.values() for name, _ in phase]
    called: list[str] = []

    def note(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(ROOT)):
            path = Path(code.co_filename).relative_to(ROOT).with_suffix("")
            name = f"{'.'.join(path.parts).removesuffix('.__init__')}.{code.co_qualname}"
            if name in steps and name not in called:
                called.append(name)

    keys = Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
    async with Emulator() as aws, Client(endpoint_url=aws.url, credentials=keys, prices={}) as client:
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            async with client.stream("amazon.nova-lite-v1:0", "Hello") as answer:
                await answer.response()
        finally:
            sys.setprofile(before)
    assert called == steps
