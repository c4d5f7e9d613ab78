"""The lines of a journal: a header, and one record for each row that has ended.

Every line is a JSON object. A record begins with its key, so that the key can be compared without reading the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from .. import errors
from .._version import __version__
from ..errors import BedrockStreamError
from ..errors.nesting import restore
from ..request.models import normalize
from ..types.events import Usage
from ..types.response import Response
from ..types.settings import Target
from .asking import Answer
from .asks import Ask
from .keys import digest_of
from .rows import Row

__all__ = (
    "BEGINNING",
    "KEY_END",
    "Head",
    "Header",
    "Recorded",
    "encode_header",
    "encode_record",
    "header_of",
    "plain_response",
    "read_head",
    "read_record",
)

BEGINNING = b'{"journal":'
"""How every journal begins."""
_KEY_START = b'{"key":"'
KEY_END = len(_KEY_START) + 32
"""Where the key of a record ends, in bytes."""
_FORMAT = 1


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: which run the journal is of."""

    journal: int = _FORMAT
    """Version of the format."""
    library: str = __version__
    model: str
    options: dict[str, str]
    """A digest of each option that the answers depend on."""
    each: bool = False
    """Whether the rows have values instead of responses."""
    dedupe: bool = False
    """Whether equal rows are one, whatever their names."""
    created: str = ""

    def difference(self, other: Header) -> str | None:
        """Return what differs in another run, in words, or None."""
        if self.journal != other.journal:
            return f"its format has version {self.journal}, expected {other.journal}"
        if self.model != other.model:
            return f"its model is {self.model!r}, got {other.model!r}"
        if self.each != other.each:
            return "one of the runs has each= and the other has not"
        if self.dedupe != other.dedupe:
            return "one of the runs has dedupe= and the other has not"
        names = [
            name
            for name in sorted({*self.options, *other.options})
            if self.options.get(name) != other.options.get(name)
        ]
        return f"it was written with other options: {', '.join(names)} differ" if names else None


class Head(msgspec.Struct, frozen=True):
    """What is read of each record when a journal is opened."""

    key: str
    status: str


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    output: msgspec.Raw = msgspec.Raw(b"null")
    value: Any = None
    error: dict[str, Any] | None = None
    usage: Usage | None = None
    cost: float | None = None
    target: dict[str, str | None] | None = None
    attempts: int = 0
    seconds: float = 0.0


class Recorded(msgspec.Struct, frozen=True):
    """A row that is in the journal, mostly from an earlier run; read when it is handed out."""

    index: int
    key: bytes
    offset: int
    ask: Ask
    repeats: bool = False
    """Whether an earlier row of the same run has this outcome, too."""


_read_head = msgspec.json.Decoder(Head).decode
_read_record = msgspec.json.Decoder(_Record).decode
_read_response = msgspec.json.Decoder(Response).decode
_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Response) if not field.required}


def header_of(model: str, options: Mapping[str, Any], *, each: bool, dedupe: bool = False) -> Header:
    """Return the header for a run with these options. Raises `ValueError` for what is not JSON."""
    return Header(model=normalize(model), options=digest_of(options), each=each, dedupe=dedupe)


def encode_header(header: Header) -> bytes:
    """Return a header, created now, as a line."""
    return msgspec.json.encode(msgspec.structs.replace(header, created=_now())) + b"\n"


def encode_record(key: bytes, ask: Ask, row: Row, answer: Answer | None) -> bytes:
    """Return a row as a line. Raises `TypeError` for a value of `each` that is not JSON."""
    record: dict[str, Any] = {"key": key.hex(), "index": row.index}
    if ask.key is not None:
        record["recordId"] = ask.key
    record["status"] = "ok" if row.error is None else "failed"
    if row.error is not None:
        record |= {"error": _plain_error(row.error), "request_id": getattr(row.error, "request_id", None)}
    if answer is not None:
        response = answer.response
        record["output"] = plain_response(response) if isinstance(response, Response) else response
        if answer.value is not None:
            record["value"] = answer.value
        record |= {"usage": answer.usage, "cost": answer.cost, "request_id": answer.request_id}
    if row.target is not None:
        target = row.target
        record["target"] = {"model": target.model, "region": target.region, "endpoint_url": target.endpoint_url}
    record |= {"attempts": row.attempts, "seconds": round(row.seconds, 3), "at": _now()}
    return _encode_record(record) + b"\n"


def read_head(line: bytes) -> Head:
    """Return the key and the status of a record. Raises `ValueError` for any other line."""
    head = _read_head(line)
    if not line.isascii():
        line.decode()  # the decoder of JSON does not look at what it leaves out
    if line[KEY_END] != 34 or len(head.key) != 32:
        raise ValueError("it does not begin with a key")
    return head


def read_record(entry: Recorded, line: bytes) -> tuple[Row, Usage | None]:
    """Return the row of a record, and its counts."""
    record = _read_record(line)
    response: Any = None
    if bytes(record.output) != b"null":
        response = _read_response(record.output) if entry.ask.body is None else msgspec.json.decode(record.output)
    row = Row(
        index=entry.index,
        key=entry.ask.key or entry.key.hex(),
        response=response,
        value=record.value,
        error=None if record.error is None else _read_error(record.error),
        reused=True,
        attempts=record.attempts,
        seconds=record.seconds,
        cost=record.cost,
        target=None if record.target is None else _read_target(record.target),
    )
    return row, record.usage


def _read_target(plain: Mapping[str, str | None]) -> Target:
    return Target(model=plain.get("model"), region=plain.get("region"), endpoint_url=plain.get("endpoint_url"))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def plain_response(response: Response) -> dict[str, Any]:
    """Return what is set of a response."""
    plain = {"message": response.message}
    for name, default in _DEFAULTS.items():
        value = getattr(response, name)
        if value is not default and value not in ((), {}):
            plain[name] = value
    return plain


def _plain_model(value: Any) -> Any:
    """Return a pydantic model of `Response.parsed` as JSON values."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"an object of type {type(value).__name__} is not JSON serializable")


_encode_record = msgspec.json.Encoder(enc_hook=_plain_model).encode


def _plain_error(error: BaseException) -> dict[str, Any]:
    facts = {name: value for name, value in vars(error).items() if isinstance(value, str | int | float)}
    return {"type": type(error).__name__, "text": str(error), "facts": facts}


def _read_error(plain: Mapping[str, Any]) -> BedrockStreamError:
    """Return an error that was recorded. One that is not of this library becomes a `BedrockStreamError`."""
    kind = getattr(errors, plain["type"], None)
    if not (isinstance(kind, type) and issubclass(kind, BedrockStreamError)):
        return BedrockStreamError(f"{plain['type']}: {plain['text']}")
    error = restore(kind, (plain["text"],))
    assert isinstance(error, BedrockStreamError)  # noqa: S101 - for type checkers
    vars(error).update(plain["facts"])
    return error
