"""A chat in the browser that shows the events and frames of a stream. Needs `pip install "bedrock-stream[play]"`.

    bedrock-stream play

One Starlette app and one static page, without a build step or external resources. It listens on loopback, requires the
access token of the current run, and uses the emulator unless AWS is requested.
"""

from .app import create_app, end_answers
from .backend import Backend, Opening, on_aws, on_emulator

__all__ = ("Backend", "Opening", "create_app", "end_answers", "on_aws", "on_emulator")
