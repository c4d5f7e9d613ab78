"""Credentials from botocore's own chain: profiles, SSO, `credential_process`, console login, and what it adds later.

botocore blocks, so all of it runs in a thread; an aiobotocore session runs on an event loop in that thread. Each fetch
walks the whole chain, since the credentials a session caches may have been revoked; only credentials that the caller
has set on the session are used as they are. No global state and no state of the session is changed. botocore's error
texts are shown only if they consist of names and paths: others may quote a process's output or a service's response,
which may contain credentials. For the same reason its DEBUG logs, which include whole responses, are suppressed
meanwhile. botocore would ask on the terminal for the code of an MFA device; here that is an error.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
from collections.abc import Awaitable, Collection, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import partial
from typing import Any

from ..errors import ConfigurationError, CredentialsUnavailable
from .credentials import Credentials
from .responses import ERROR_CODE, REQUEST_ID, make_credentials
from .sources import SourceContext
from .threads import run_in_thread

__all__ = ("MFA_REMEDY", "BotocoreSession", "quiet_loggers")

MFA_REMEDY = (
    "use a profile without mfa_serial, such as one of SSO, or pass temporary credentials of "
    "`aws sts get-session-token` or `aws sts assume-role`"
)
"""What to do instead of typing the code of an MFA device."""

# Errors whose messages consist of profiles, paths, addresses and names of settings.
_SAFE_ERRORS = frozenset(
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
_LOGGING_PACKAGES = ("botocore", "boto3", "aiobotocore", "urllib3")


class BotocoreSession:
    """A source for a botocore, boto3 or aiobotocore session, or for a profile's (None: the default one)."""

    def __init__(self, session: Any = None, *, profile: str | None = None) -> None:
        if session is not None and profile is not None:
            raise ConfigurationError("profile", "cannot be combined with a session", "pass a session or a profile")
        if profile is not None and (not isinstance(profile, str) or not profile.strip()):
            raise ConfigurationError("profile", f"expected a profile's name, got {profile!r}")
        self._profile = profile
        self._session = None if session is None else _unwrap(session)

    @property
    def name(self) -> str:
        """The source's name in error texts and logs."""
        if self._session is not None:
            return "the botocore session"
        return "botocore" if self._profile is None else f"botocore's profile {self._profile!r}"

    def __repr__(self) -> str:
        return f"BotocoreSession({self.name})"

    async def fetch(self, context: SourceContext) -> Credentials:
        """Return new credentials. Raises `CredentialsUnavailable`."""
        result = await run_in_thread(partial(self._fetch_in_thread, context.region))
        if isinstance(result, CredentialsUnavailable):
            raise result  # here, and not in the thread, where botocore's error would be chained to it
        return result

    def _fetch_in_thread(self, region: str) -> Credentials | CredentialsUnavailable:
        try:
            session = self._session or _new_session(self._profile, region)
            # Of the supported sessions, only aiobotocore's has an asynchronous get_credentials.
            run = asyncio.run if inspect.iscoroutinefunction(session.get_credentials) else _run_synchronously
            with quiet_loggers(_LOGGING_PACKAGES):
                loaded = run(_load_credentials(session))
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "botocore":
                return self._failure(error)
            return CredentialsUnavailable(self.name, 'it is not installed: pip install "bedrock-stream[botocore]"')
        except Exception as error:
            return self._failure(error)
        if loaded is None:
            return CredentialsUnavailable(self.name, "it found no credentials")
        frozen, expires_at = loaded
        try:
            return make_credentials(self.name, frozen.access_key, frozen.secret_key, frozen.token, expires_at)
        except CredentialsUnavailable as error:
            return error

    def _failure(self, error: Exception) -> CredentialsUnavailable:
        kind = type(error).__name__
        if isinstance(error, _CodeNeededError):
            problem = "its role needs a code of an MFA device (mfa_serial), and this library never asks for one"
            return CredentialsUnavailable(self.name, f"{problem}; {MFA_REMEDY}")
        if isinstance(error, OSError) and isinstance(error.filename, str) and error.strerror:
            # Such as a credential_process that is not installed: a path, or the program's name without arguments.
            return CredentialsUnavailable(self.name, f"{kind}: {error.filename!r}: {error.strerror}")
        response = getattr(error, "response", None)
        if kind in _SAFE_ERRORS and type(error).__module__ == "botocore.exceptions":
            return CredentialsUnavailable(self.name, f"{kind}: {error}")
        if not isinstance(response, dict):
            return CredentialsUnavailable(self.name, f"{kind} (its message may contain secrets)")
        code = str(response.get("Error", {}).get("Code", ""))
        operation = getattr(error, "operation_name", "?")
        reason = f"{kind}: {code if ERROR_CODE.fullmatch(code) else '?'} by {operation}"
        unavailable = CredentialsUnavailable(self.name, f"{reason} (its message may contain secrets)")
        request_id = str(response.get("ResponseMetadata", {}).get("RequestId", ""))
        unavailable.request_id = request_id if REQUEST_ID.fullmatch(request_id) else None
        return unavailable


class _CodeNeededError(Exception):
    """A profile needs a code that somebody would have to type."""


def _refuse_prompt(_prompt: str) -> str:
    raise _CodeNeededError


def _without_prompts(resolver: Any) -> Any:
    """Return a copy of a chain of providers in which botocore's own prompt for a code is refused.

    A prompter that the caller has set is left: it may know the code without asking.
    """
    from getpass import getpass

    from botocore.credentials import AssumeRoleProvider

    default = inspect.signature(AssumeRoleProvider.__init__).parameters["prompter"].default
    prompters = (default, getpass)
    asking = [provider for provider in resolver.providers if getattr(provider, "_prompter", None) in prompters]
    if not asking:
        return resolver
    resolver = copy.copy(resolver)
    resolver.providers = [_refuse_prompts(each) if each in asking else each for each in resolver.providers]
    return resolver


def _refuse_prompts(provider: Any) -> Any:
    provider = copy.copy(provider)
    provider._prompter = _refuse_prompt
    provider._visited_profiles = [provider._profile_name]
    return provider


def _unwrap(session: Any) -> Any:
    """Return the botocore session, which boto3's session wraps."""
    for candidate in (session, getattr(session, "_session", None)):
        if callable(getattr(candidate, "get_component", None)) and callable(
            getattr(candidate, "get_credentials", None)
        ):
            return candidate
    actual = type(session).__name__
    raise ConfigurationError("session", f"expected a botocore, boto3 or aiobotocore session, got {actual}")


def _new_session(profile: str | None, region: str) -> Any:
    """Create a session, which reads all files again."""
    from botocore.session import Session

    session = Session(profile=profile)
    if session.get_config_variable("region") is None:
        session.set_config_variable("region", region)  # STS and SSO are called in a region
    return session


async def _load_credentials(session: Any) -> tuple[Any, datetime | None] | None:
    """Return frozen credentials and their expiry. Awaits only if the session is asynchronous."""
    resolver = session.get_component("credential_provider")
    # A private attribute, but the established way to set credentials that refresh themselves on a session.
    # Those that the session has loaded itself have the method of one of its providers.
    cached = getattr(session, "_credentials", None)
    if cached is not None and getattr(cached, "method", None) not in {each.METHOD for each in resolver.providers}:
        credentials = cached
    else:
        credentials = await _await_if_needed(_without_prompts(resolver).load_credentials())
    if credentials is None:
        return None
    frozen = await _await_if_needed(credentials.get_frozen_credentials())
    expires_at = getattr(credentials, "_expiry_time", None)
    return frozen, expires_at if isinstance(expires_at, datetime) else None


async def _await_if_needed(value: Any | Awaitable[Any]) -> Any:
    return await value if inspect.isawaitable(value) else value


def _run_synchronously(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never awaits, without an event loop: a caller's refresh function may start its own."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        return finished.value
    coroutine.close()
    raise TypeError("a session whose get_credentials is not a coroutine function returned an awaitable")


_is_quiet: ContextVar[bool] = ContextVar("bedrock_stream_quiet_loggers", default=False)


class _QuietFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.INFO or not _is_quiet.get()


_QUIET_FILTER = _QuietFilter()


@contextmanager
def quiet_loggers(packages: Collection[str]) -> Iterator[None]:
    """Suppress logs below INFO of the existing loggers of these packages, in this context only."""
    # A logger's filters do not apply to its children, so each logger gets the filter; adding it twice has no effect.
    for name in [name for name in list(logging.Logger.manager.loggerDict) if name.partition(".")[0] in packages]:
        logging.getLogger(name).addFilter(_QUIET_FILTER)
    token = _is_quiet.set(True)
    try:
        yield
    finally:
        _is_quiet.reset(token)
