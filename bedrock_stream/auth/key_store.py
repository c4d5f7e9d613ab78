"""The key store: keys put by name for the whole process, or read the same way for one client.

    put_key("aws_bedrock", "an API key")
    put_key("aws_bedrock", {"access_key_id": ..., "secret_access_key": ..., "region": "eu-west-1"})

The store is the process's own: neither a task's context nor a thread changes what it holds. Keys of tenants belong into
`Client(keys=...)`, which never looks here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from ..errors import ConfigurationError, MissingCredentials
from ..types.settings import check_region
from .credentials import ApiKey, Credentials, Identity, check_api_key, check_pair

__all__ = ("KeyLike", "Keys", "put_key", "read_keys", "stored_keys")

KeyLike: TypeAlias = str | Credentials | Mapping[str, Any]
"""An API key, or a mapping with `api_key` or `access_key_id, secret_access_key, session_token`, and `region`."""

_NAMES = ("aws_bedrock", "amazon_bedrock", "bedrock")
_FIELDS = ("api_key", "access_key_id", "secret_access_key", "session_token", "region")


class Keys(msgspec.Struct, frozen=True):
    """What an entry of the store holds, checked."""

    identity: Identity
    region: str | None = None


_store: dict[str, Keys] = {}


def put_key(provider: str, keys: KeyLike | None) -> None:
    """Keep keys for the process under `aws_bedrock`; None takes them out again.

    They go before the environment and behind whatever a client or a call is given. Raises `ConfigurationError`.
    """
    if provider not in _NAMES:
        raise ConfigurationError("provider", f"{provider!r} is not served here", f"use {_NAMES[0]!r}")
    if keys is None:
        _store.pop(_NAMES[0], None)
    else:
        _store[_NAMES[0]] = read_keys(keys, "keys")


def stored_keys() -> Keys | None:
    """What `put_key` has put."""
    return _store.get(_NAMES[0])


def read_keys(keys: Any, argument: str) -> Keys:
    """Keys in any of their forms. Raises `ConfigurationError`, which never quotes a value."""
    if isinstance(keys, Credentials):
        return Keys(keys)
    if isinstance(keys, str):
        return Keys(ApiKey(check_api_key(keys)))
    if not isinstance(keys, Mapping):
        raise ConfigurationError(argument, f"a {type(keys).__name__} is none", "give an API key, or a mapping")
    if len(keys) == 1 and next(iter(keys)) in _NAMES:
        return read_keys(next(iter(keys.values())), argument)
    _check_fields(keys, argument)
    region = keys.get("region")
    if region is not None:
        check_region(region, f"{argument}['region']")
    pair = check_pair(*(keys.get(name) for name in _FIELDS[1:4]))
    api_key = keys.get("api_key")
    if api_key is not None and pair is not None:
        raise ConfigurationError(argument, "it holds an API key and IAM keys", "give one of them")
    if api_key is not None:
        return Keys(ApiKey(check_api_key(api_key)), region)
    if pair is None:
        raise MissingCredentials(argument, "no key is in it", "give api_key, or access_key_id and secret_access_key")
    return Keys(pair, region)


def _check_fields(keys: Mapping[str, Any], argument: str) -> None:
    for name, value in keys.items():
        if name not in _FIELDS:
            from difflib import get_close_matches  # for this sentence alone

            near = get_close_matches(str(name), _FIELDS, 1)
            remedy = f"did you mean {near[0]}?" if near else f"known are {', '.join(_FIELDS)}"
            raise ConfigurationError(argument, f"{str(name)[:40]!r} is unknown", remedy)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise ConfigurationError(f"{argument}[{name!r}]", "it is blank", "leave it out, or give a value")
