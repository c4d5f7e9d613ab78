"""Keys by botocore's own chain: profiles, SSO, `credential_process`, console login, and what else it learns.

botocore blocks, so all of it runs in a thread, and that of an aiobotocore session on an event loop in that thread. Each
fetch walks the chain anew, for what a session keeps may have been taken back; only keys that the caller put into the
session are taken as they are. Nothing that others see is changed. What botocore says of a failure is shown only where
it speaks of names and places: the output of a process or the words of a service may hold keys. What it logs itself at
DEBUG, whole answers among it, is not logged while it runs for us.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from collections.abc import Awaitable, Collection, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from anyio import to_thread

from ..errors import ConfigurationError, CredentialsUnavailable
from .credentials import Credentials
from .sources import SourceContext, make_keys

__all__ = (
    "BotocoreSession",
    "quiet_loggers",
)


# Their messages are made of profiles, paths, addresses and names of settings.
_HARMLESS = frozenset(
    {
        "ConfigNotFound",
        "ConfigParseError",
        "ConnectTimeoutError",
        "ConnectionClosedError",
        "EndpointConnectionError",
        "InfiniteLoopConfigError",
        "InvalidConfigError",
        "LoginRefreshRequired",
        "MissingDependencyException",
        "NoCredentialsError",
        "NoRegionError",
        "PartialCredentialsError",
        "ProfileNotFound",
        "ReadTimeoutError",
        "RefreshWithMFAUnsupportedError",
        "SSOTokenLoadError",
        "UnauthorizedSSOTokenError",
        "UnknownCredentialError",
    }
)


_TALKATIVE = ("botocore", "boto3", "aiobotocore", "urllib3")


_NAME = re.compile(r"[A-Za-z0-9.]{1,64}")


_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class BotocoreSession:
    """Keys of a botocore, boto3 or aiobotocore session, or of one made for a profile (None: the usual one)."""

    def __init__(self, session: Any = None, *, profile: str | None = None) -> None:
        if session is not None and profile is not None:
            raise ConfigurationError("profile", "a session has its own", "give a session or a profile")
        if profile is not None and (not isinstance(profile, str) or not profile.strip()):
            raise ConfigurationError("profile", f"{profile!r} is no profile", "give a profile's name, or leave it out")
        self._profile = profile
        self._session = None if session is None else _inner(session)

    @property
    def name(self) -> str:
        """The source in words."""
        if self._session is not None:
            return "the botocore session"
        return "botocore" if self._profile is None else f"botocore's profile {self._profile!r}"

    def __repr__(self) -> str:
        return f"BotocoreSession({self.name})"

    async def fetch(self, context: SourceContext) -> Credentials:
        """New keys. Raises `CredentialsUnavailable`."""
        found = await to_thread.run_sync(self._load, context.region, abandon_on_cancel=True)
        if isinstance(found, CredentialsUnavailable):
            raise found  # here, and not where the cause would be chained: that may hold keys
        return found

    def _load(self, region: str) -> Credentials | CredentialsUnavailable:
        try:
            session = self._session or _new_session(self._profile, region)
            run = asyncio.run if inspect.iscoroutinefunction(session.get_credentials) else _run_without_waiting
            with quiet_loggers(_TALKATIVE):
                found = run(_read(session))
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "botocore":
                return self._failure(error)
            return CredentialsUnavailable(self.name, 'it is not installed: pip install "bedrock-stream[botocore]"')
        except Exception as error:
            return self._failure(error)
        if found is None:
            return CredentialsUnavailable(self.name, "it found no credentials")
        frozen, ends = found
        try:
            return make_keys(self.name, frozen.access_key, frozen.secret_key, frozen.token, ends)
        except CredentialsUnavailable as error:
            return error

    def _failure(self, error: Exception) -> CredentialsUnavailable:
        kind = type(error).__name__
        response = getattr(error, "response", None)
        if kind in _HARMLESS and type(error).__module__ == "botocore.exceptions":
            return CredentialsUnavailable(self.name, f"{kind}: {error}")
        if not isinstance(response, dict):
            return CredentialsUnavailable(self.name, f"{kind} (its words may hold secrets)")
        code = str(response.get("Error", {}).get("Code", ""))
        reason = f"{kind}: {code if _NAME.fullmatch(code) else '?'} by {getattr(error, 'operation_name', '?')}"
        unavailable = CredentialsUnavailable(self.name, f"{reason} (its words may hold secrets)")
        request_id = str(response.get("ResponseMetadata", {}).get("RequestId", ""))
        unavailable.request_id = request_id if _REQUEST_ID.fullmatch(request_id) else None
        return unavailable


def _inner(session: Any) -> Any:
    """The botocore session itself; boto3 and its like wrap one."""
    for candidate in (session, getattr(session, "_session", None)):
        if callable(getattr(candidate, "get_component", None)) and callable(
            getattr(candidate, "get_credentials", None)
        ):
            return candidate
    kind = type(session).__name__
    raise ConfigurationError("session", f"a {kind} is no session of botocore's", "give a botocore or boto3 session")


def _new_session(profile: str | None, region: str) -> Any:
    """A session that has read nothing yet, so every file is read anew."""
    from botocore.session import Session

    session = Session(profile=profile)
    if session.get_config_variable("region") is None:
        session.set_config_variable("region", region)  # roles are asked for somewhere
    return session


async def _read(session: Any) -> tuple[Any, datetime | None] | None:
    """Frozen keys and when they end. Waits only where the session is asynchronous."""
    resolver = session.get_component("credential_provider")
    # Private, and for years the way in which people hand a session keys that refresh themselves.
    kept = getattr(session, "_credentials", None)
    if kept is not None and getattr(kept, "method", None) not in {provider.METHOD for provider in resolver.providers}:
        found = kept
    else:
        found = await _settled(resolver.load_credentials())
    if found is None:
        return None
    frozen = await _settled(found.get_frozen_credentials())
    ends = getattr(found, "_expiry_time", None)
    return frozen, ends if isinstance(ends, datetime) else None


async def _settled(value: Any | Awaitable[Any]) -> Any:
    return await value if inspect.isawaitable(value) else value


def _run_without_waiting(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run what never waits without an event loop: a refresh of the caller's may want to start one of its own."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        return finished.value
    coroutine.close()
    raise TypeError("a session whose get_credentials is no coroutine waited")


_inside: ContextVar[bool] = ContextVar("bedrock_stream_hushed", default=False)


class _QuietFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.INFO or not _inside.get()


_HUSH = _QuietFilter()


@contextmanager
def quiet_loggers(packages: Collection[str]) -> Iterator[None]:
    """Nothing below INFO is logged here by the loggers of these packages, such as there are when it begins."""
    # A logger's filters do not look at what its children log, so each of them gets this one; twice is once.
    for name in [name for name in list(logging.Logger.manager.loggerDict) if name.partition(".")[0] in packages]:
        logging.getLogger(name).addFilter(_HUSH)
    token = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(token)
