"""The process-wide key store, and the parser for its entries, which also reads a client's `keys=`.

    put_key("aws_bedrock", "an API key")
    put_key("aws_bedrock", {"access_key_id": ..., "secret_access_key": ..., "region": "eu-west-1"})

The store is global to the process, not to a task's context or a thread. Pass a tenant's keys to `Client(keys=...)`
instead: such a client never reads the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from ..errors import ConfigurationError, MissingCredentials
from ..types.settings import check_region
from .credentials import ApiKey, Credentials, Identity, check_api_key, check_pair

__all__ = ("KeyLike", "StoredKeys", "get_stored_keys", "parse_keys", "put_key")

KeyLike: TypeAlias = str | Credentials | Mapping[str, Any]
"""An API key, or a mapping with `api_key` or `access_key_id, secret_access_key, session_token`, and `region`."""

_PROVIDERS = ("aws_bedrock", "amazon_bedrock", "bedrock")
_FIELDS = ("api_key", "access_key_id", "secret_access_key", "session_token", "region")


class StoredKeys(msgspec.Struct, frozen=True):
    """A checked entry of the store."""

    identity: Identity
    region: str | None = None


_store: dict[str, StoredKeys] = {}


def put_key(provider: str, keys: KeyLike | None) -> None:
    """Store keys for the whole process under `aws_bedrock`; None removes them.

    They take precedence over the environment; keys of a client or a call take precedence over them. Raises
    `ConfigurationError`.
    """
    if provider not in _PROVIDERS:
        raise ConfigurationError("provider", f"{provider!r} is not supported", f"use {_PROVIDERS[0]!r}")
    if keys is None:
        _store.pop(_PROVIDERS[0], None)
    else:
        _store[_PROVIDERS[0]] = parse_keys(keys, "keys")


def get_stored_keys() -> StoredKeys | None:
    """Return the entry that `put_key` has stored, if any."""
    return _store.get(_PROVIDERS[0])


def parse_keys(keys: Any, argument: str) -> StoredKeys:
    """Parse keys in any of their forms. Raises `ConfigurationError`, which never quotes a value."""
    if isinstance(keys, Credentials):
        return StoredKeys(keys)
    if isinstance(keys, str):
        return StoredKeys(ApiKey(check_api_key(keys)))
    if not isinstance(keys, Mapping):
        raise ConfigurationError(argument, f"expected a str or a mapping, got {type(keys).__name__}")
    if len(keys) == 1 and next(iter(keys)) in _PROVIDERS:
        return parse_keys(next(iter(keys.values())), argument)
    _check_fields(keys, argument)
    region = keys.get("region")
    if region is not None:
        check_region(region, f"{argument}['region']")
    pair = check_pair(*(keys.get(name) for name in _FIELDS[1:4]))
    api_key = keys.get("api_key")
    if api_key is not None and pair is not None:
        raise ConfigurationError(argument, "contains both an API key and an IAM key pair", "pass one of them")
    if api_key is not None:
        return StoredKeys(ApiKey(check_api_key(api_key)), region)
    if pair is None:
        raise MissingCredentials(argument, "contains no key", "pass api_key, or access_key_id and secret_access_key")
    return StoredKeys(pair, region)


def _check_fields(keys: Mapping[str, Any], argument: str) -> None:
    for name, value in keys.items():
        if name not in _FIELDS:
            from difflib import get_close_matches  # needed for this message only

            near = get_close_matches(str(name), _FIELDS, 1)
            remedy = f"did you mean {near[0]}?" if near else f"known are {', '.join(_FIELDS)}"
            raise ConfigurationError(argument, f"unknown key {str(name)[:40]!r}", remedy)
        if value is None:
            continue
        if not isinstance(value, str):
            problem = f"expected a str, got {type(value).__name__}"
            raise ConfigurationError(f"{argument}[{name!r}]", problem, "leave it out, or pass a value")
        if not value.strip():
            raise ConfigurationError(f"{argument}[{name!r}]", "is blank", "leave it out, or pass a value")
