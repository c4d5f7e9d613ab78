"""The order in which keys are looked for. The first place that has any decides, and nothing falls through it.

    1. the call        api_key; access_key_id, secret_access_key, session_token
    2. the client      one of api_key, credentials, keys, profile
    3. put_key
    4. environment     AWS_BEARER_TOKEN_BEDROCK; AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY
    5. the chain       see `chain`

So explicit IAM keys beat an API key in the environment, and a client made with a tenant's keys never falls through to
the environment or to the machine's role. A blank explicit key is an error, a blank variable counts as absent, half a
pair is an error that names the missing half.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..errors import ConfigurationError
from .credentials import ApiKey, Credentials, check_api_key, check_pair
from .key_store import Keys, read_keys
from .profiles import Profile
from .sources import KeySource, Source

__all__ = (
    "call_key_source",
    "client_key_source",
    "environment_key_source",
    "find_key_source",
    "stored_key_source",
    "target_key_source",
)


def find_key_source(
    call: KeySource | None,
    client: KeySource | None,
    stored: Keys | None,
    environ: Mapping[str, str],
    profile: Callable[[], Profile],
) -> KeySource:
    """The first place that has an identity; `profile` is asked for last. Raises `MissingCredentials` and others."""
    found = call or client or stored_key_source(stored) or environment_key_source(environ)
    if found is None:
        from .chain import (
            chain_key_source,  # it brings STS, the metadata services and botocore's door, and few get so far
        )

        found = chain_key_source(environ, profile())
    return found


def call_key_source(
    api_key: str | None, access_key_id: str | None, secret_access_key: str | None, session_token: str | None
) -> KeySource | None:
    """What one call was given; an API key goes first, yet does not excuse half a pair beside it."""
    pair = check_pair(access_key_id, secret_access_key, session_token)
    if api_key is not None:
        return KeySource("the call's api_key", "bearer", ApiKey(check_api_key(api_key)))
    return None if pair is None else KeySource("the call's access_key_id", "sigv4", pair)


def client_key_source(*, api_key: Any, credentials: Any, keys: Any, profile: str | None) -> KeySource | None:
    """What a client was made with, but for its profile, whose files may change. More than one of them is refused."""
    given = {"api_key": api_key, "credentials": credentials, "keys": keys, "profile": profile}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise ConfigurationError(named[1], f"{named[0]} is given too, and one would go unused", "give one of them")
    if api_key is not None:
        source = api_key if callable(api_key) else ApiKey(check_api_key(api_key))
        return KeySource("the client's api_key", "bearer", source)
    if credentials is not None:
        return _client_credentials(credentials)
    if keys is not None:
        read = read_keys(keys, "keys")
        return KeySource("the client's keys", _scheme(read), read.identity, region=read.region)
    if profile is not None and (not isinstance(profile, str) or not profile.strip()):
        raise ConfigurationError("profile", f"{profile!r} is no name", "name a profile of the shared AWS files")
    return None


def target_key_source(api_key: Any, credentials: Any) -> KeySource | None:
    """What one target of a failover was given."""
    key_source = client_key_source(api_key=api_key, credentials=credentials, keys=None, profile=None)
    if key_source is None:
        return None
    given = credentials if api_key is None else api_key  # and not what is made of it, anew for each call
    return msgspec.structs.replace(
        key_source, name=key_source.name.replace("client", "target"), key=("target", id(given))
    )


def stored_key_source(stored: Keys | None) -> KeySource | None:
    """What `put_key` has put."""
    return None if stored is None else KeySource("put_key", _scheme(stored), stored.identity, region=stored.region)


def environment_key_source(environ: Mapping[str, str], *, bearer: bool = True) -> KeySource | None:
    """Keys that stand in the environment itself; without `bearer`, IAM keys only."""
    token = environ.get("AWS_BEARER_TOKEN_BEDROCK", "").strip()
    if token and bearer:
        return KeySource("AWS_BEARER_TOKEN_BEDROCK", "bearer", ApiKey(check_api_key(token)))
    key, secret = environ.get("AWS_ACCESS_KEY_ID", "").strip(), environ.get("AWS_SECRET_ACCESS_KEY", "").strip()
    if bool(key) != bool(secret):
        missing = "AWS_SECRET_ACCESS_KEY" if key else "AWS_ACCESS_KEY_ID"
        raise ConfigurationError(missing, "half of a key pair is missing", "set both variables, or neither")
    if not key:
        return None
    pair = Credentials(key, secret, environ.get("AWS_SESSION_TOKEN", "").strip() or None)
    return KeySource("AWS_ACCESS_KEY_ID", "sigv4", pair)


def _client_credentials(credentials: Any) -> KeySource:
    if hasattr(credentials, "get_credentials"):  # a session of botocore, boto3 or aiobotocore
        from .botocore import BotocoreSession

        credentials = BotocoreSession(credentials)
    if isinstance(credentials, Credentials):
        return KeySource("the client's credentials", "sigv4", credentials)
    if isinstance(credentials, Source):
        return KeySource(f"the client's credentials: {credentials.name}", "sigv4", credentials, key="client")
    if callable(credentials):
        return KeySource("the client's credentials", "sigv4", credentials, key="client")
    kind = type(credentials).__name__
    raise ConfigurationError("credentials", f"a {kind} is none", "give Credentials, a source, or a callable")


def _scheme(keys: Keys) -> str:
    return "bearer" if isinstance(keys.identity, ApiKey) else "sigv4"
