"""Requests of chat front ends, converted into the messages and options of a call. Pure, and without dependencies.

The body comes from a browser or another client, which is not trusted: what it may not decide (model, region, files of
the account, guardrails) is not read, and nothing that it names is fetched.
"""

from .openai import messages_from_openai
from .request import ChatRequest
from .ui import messages_from_ui

__all__ = ("ChatRequest", "messages_from_openai", "messages_from_ui")
