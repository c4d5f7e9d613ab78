"""Keys of rows: digests of what the caller said, the same in every process and with every version of this library.

Nothing of the wire enters a key, so that an upgrade that writes other bodies asks no row twice. Neither do options that
say how or by whom a row is asked, only those that its answer depends on.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from ..errors import ConfigurationError, RowInvalid
from ..request.models import normalize
from ..types.tools import Tool, read_tools
from .asks import Ask

__all__ = ("KEY_BYTES", "Keys", "digest_of", "numbered")

KEY_BYTES = 16

# Options that say how a row is asked, by whom, or who pays.
_OF_THE_WAY = frozenset(
    {"api_key", "access_key_id", "secret_access_key", "session_token", "region", "timeouts", "retry", "failover"}
    | {"keep", "project", "request_metadata", "performance", "service_tier", "provider_options"}
)


class Keys:
    """Makes the keys of a batch with this model and these options.

    With `repeats`, a row may come again. With `dedupe`, keys are made without names.
    """

    __slots__ = ("_common", "_dedupe", "_model", "_names", "_options", "_repeats")

    def __init__(self, model: str, options: Mapping[str, Any], *, repeats: bool = False, dedupe: bool = False) -> None:
        self._model = normalize(model)
        self._options = _of_the_answer(options)
        self._names: set[str] = set()
        self._repeats = repeats
        self._dedupe = dedupe
        self._common = self._prefix(Ask())

    def key(self, ask: Ask, index: int) -> bytes:
        """Return the key of a row. Raises `RowInvalid` for what is not JSON, and for a name that came before."""
        name = f"prompts[{index}]"
        try:
            key = self._digest(ask)
        except ConfigurationError as error:
            raise RowInvalid(f"{name}.{error.argument}", error.problem, error.remedy) from None
        except ValueError as error:
            raise RowInvalid(name, f"cannot be encoded as JSON: {error}", "use JSON values") from None
        if ask.key is not None and not self._repeats:
            if ask.key in self._names:
                raise RowInvalid(name, f"has the key {ask.key!r} of an earlier row", "make the keys unique")
            self._names.add(ask.key)
        return key

    def _digest(self, ask: Ask) -> bytes:
        is_common = (ask.key is None or self._dedupe) and ask.model is None and not ask.options
        digest = (self._common if is_common else self._prefix(ask)).copy()
        if isinstance(ask.prompt, str):
            digest.update(b"text\n" + ask.prompt.encode())
        elif ask.body is not None:
            digest.update((b"converse\n" if ask.converse else b"body\n") + _encode(ask.body))
        else:
            digest.update(b"messages\n" + _encode(ask.prompt))
        return digest.digest()

    def _prefix(self, ask: Ask) -> blake2b:
        options = {} if ask.body is not None else {**self._options, **_of_the_answer(ask.options)}
        model = self._model if ask.model is None else normalize(ask.model)
        said = _encode([None if self._dedupe else ask.key, model, options])
        return blake2b(said + b"\n", digest_size=KEY_BYTES)


def digest_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Return a digest of each option that answers depend on. Raises `ValueError` for what has no JSON."""
    said = _of_the_answer(options)
    return {name: blake2b(_encode(value), digest_size=6).hexdigest() for name, value in sorted(said.items())}


def numbered(key: bytes, number: int) -> bytes:
    """Return the key of the row that is equal to `number` earlier ones."""
    return blake2b(key + b"%d" % number, digest_size=KEY_BYTES).digest() if number else key


def _of_the_answer(options: Mapping[str, Any]) -> dict[str, Any]:
    provider = options.get("provider_options") or {}
    return {
        name: value for name, value in {**provider, **options}.items() if value is not None and name not in _OF_THE_WAY
    }


def _encode(value: Any) -> bytes:
    try:
        return msgspec.json.encode(_plain(value), order="deterministic")
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _plain(value: Any) -> Any:
    """Return a value as JSON values, attachments as digests, and structs without the fields that are not set."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, bytes | bytearray):
        return {"digest": blake2b(value, digest_size=KEY_BYTES).hexdigest()}
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(part) for part in value]
    if isinstance(value, Tool):
        return _plain({"name": value.name, "description": value.description, "input_schema": value.input_schema})
    if isinstance(value, msgspec.Struct):
        return _plain_struct(value)
    if isinstance(value, type):
        return _plain(Tool.from_model(value).input_schema)
    if callable(value):
        return _plain(read_tools((value,))[0])
    raise TypeError(f"an object of type {type(value).__name__} is not JSON serializable")


def _plain_struct(value: msgspec.Struct) -> dict[str, Any]:
    plain: dict[str, Any] = {"type": type(value).__name__}
    for field in msgspec.structs.fields(value):
        part = getattr(value, field.name)
        if field.required or part not in (None, (), {}, field.default):
            plain[field.name] = _plain(part)
    return plain
