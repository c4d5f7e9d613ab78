"""Framing of server-sent events (`text/event-stream`): a decoder. Independent of Bedrock and of asyncio."""

from .decoder import MAX_EVENT, ServerSentEvent, SSEDecoder

__all__ = ("MAX_EVENT", "SSEDecoder", "ServerSentEvent")
