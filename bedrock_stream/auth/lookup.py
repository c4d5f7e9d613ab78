"""The order in which credentials are looked up. The first place that has any decides, with no fallback to the next.

    1. the call        api_key; access_key_id, secret_access_key, session_token
    2. the client      one of api_key, credentials, keys, profile
    3. put_key
    4. environment     AWS_BEARER_TOKEN_BEDROCK; AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY
    5. the chain       see `chain`

So explicit IAM credentials take precedence over an API key in the environment, and a client created with a tenant's
keys never falls back to the environment or to the instance role. A blank explicit key is an error, a blank variable
counts as unset, and half a key pair is an error that names the missing half.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..errors import ConfigurationError
from .credentials import ApiKey, Credentials, check_api_key, check_pair
from .key_store import StoredKeys, parse_keys
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
    stored: StoredKeys | None,
    environ: Mapping[str, str],
    profile: Callable[[], Profile],
) -> KeySource:
    """Return the first source that is configured; `profile` is read last. Raises `MissingCredentials` and others."""
    key_source = call or client or stored_key_source(stored) or environment_key_source(environ)
    if key_source is None:
        from .chain import chain_key_source  # imports STS, metadata services and botocore's adapter: rarely needed

        key_source = chain_key_source(environ, profile())
    return key_source


def call_key_source(
    api_key: str | None, access_key_id: str | None, secret_access_key: str | None, session_token: str | None
) -> KeySource | None:
    """Return the source in a call's options; an API key takes precedence, but half a key pair is still an error."""
    pair = check_pair(access_key_id, secret_access_key, session_token)
    if api_key is not None:
        return KeySource("the call's api_key", "bearer", ApiKey(check_api_key(api_key)))
    return None if pair is None else KeySource("the call's access_key_id", "sigv4", pair)


def client_key_source(*, api_key: Any, credentials: Any, keys: Any, profile: str | None) -> KeySource | None:
    """Return the source in a client's arguments, except for a profile, whose files may change.

    Raises `ConfigurationError` if more than one of them is set.
    """
    arguments = {"api_key": api_key, "credentials": credentials, "keys": keys, "profile": profile}
    names = [name for name, value in arguments.items() if value is not None]
    if len(names) > 1:
        raise ConfigurationError(names[1], f"cannot be combined with {names[0]}", "pass one of them")
    if api_key is not None:
        source = api_key if callable(api_key) else ApiKey(check_api_key(api_key))
        return KeySource("the client's api_key", "bearer", source)
    if credentials is not None:
        return _client_credentials(credentials)
    if keys is not None:
        parsed = parse_keys(keys, "keys")
        return KeySource("the client's keys", _scheme(parsed), parsed.identity, region=parsed.region)
    if profile is not None and (not isinstance(profile, str) or not profile.strip()):
        raise ConfigurationError("profile", f"expected the name of a profile in the shared AWS files, got {profile!r}")
    return None


def target_key_source(api_key: Any, credentials: Any) -> KeySource | None:
    """Return the source in a failover target's arguments."""
    key_source = client_key_source(api_key=api_key, credentials=credentials, keys=None, profile=None)
    if key_source is None:
        return None
    # The id of the user's object, since what is built from it is a new object for each call.
    argument = credentials if api_key is None else api_key
    name = key_source.name.replace("client", "target")
    return msgspec.structs.replace(key_source, name=name, key=("target", id(argument)))


def stored_key_source(stored: StoredKeys | None) -> KeySource | None:
    """Return the source for an entry of the key store."""
    return None if stored is None else KeySource("put_key", _scheme(stored), stored.identity, region=stored.region)


def environment_key_source(environ: Mapping[str, str], *, bearer: bool = True) -> KeySource | None:
    """Return the source for static keys in environment variables; without `bearer`, IAM credentials only."""
    # Values are stripped, since variables that are set from a file often end with a line break.
    # As in botocore, Bedrock's bearer token takes precedence over IAM credentials in the environment.
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
    actual = type(credentials).__name__
    raise ConfigurationError("credentials", f"expected Credentials, a source or a callable, got {actual}")


def _scheme(keys: StoredKeys) -> str:
    return "bearer" if isinstance(keys.identity, ApiKey) else "sigv4"
