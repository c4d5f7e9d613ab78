"""A chat in the browser that shows what the library does. Needs `pip install "bedrock-stream[play]"`.

    bedrock-stream play

One Starlette app and one page without a build step or anything from elsewhere. It listens on loopback, answers only
whoever holds the token of its run, and talks to the emulator unless it is told to talk to AWS.
"""

from .app import create_app, end_answers
from .backend import Opening, Upstream, on_aws, on_emulator

__all__ = ("Opening", "Upstream", "create_app", "end_answers", "on_aws", "on_emulator")
