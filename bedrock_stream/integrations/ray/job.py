"""What the actors of one job are to do. It is pickled, so it contains no credentials."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ...batch.journal import Journal
from ...client.client import Client
from ...client.quotas import check_quota
from ...errors import ConfigurationError
from ...request.models import describe
from ...transport.quota import BaseQuota, QuotaLike
from ...types.checks import is_integer, is_number
from ...types.options import mask_secrets, read_options
from ...types.settings import Masked, Target
from .quota import RayQuota

__all__ = ("Job", "is_uri", "read_folder", "refuse_credentials")

_SECRETS = ("api_key", "access_key_id", "secret_access_key", "session_token")
_ON_EACH_NODE = "set them on each node: by its role, its files or its environment"


class Job(Masked, frozen=True, kw_only=True):
    """The arguments of an `Asker`, which describes them. Raises `ConfigurationError`."""

    model: str
    options: dict[str, Any]
    prompt: str | Callable[[dict[str, Any]], Any] | None = None
    body: str | Callable[[dict[str, Any]], Any] | None = None
    converse: bool = False
    key: str | None = None
    concurrency: int = 256
    journal: Journal | str | os.PathLike[str] | None = None
    quota: QuotaLike | None = None
    patience: float = 3600.0
    response: str | None = None
    client: Callable[[], Client] | None = None

    def __post_init__(self) -> None:
        describe(self.model)
        if (self.prompt is None) == (self.body is None):
            problem = "expected either prompt or body, got " + ("neither" if self.prompt is None else "both")
            raise ConfigurationError("prompt", problem, "name a column, or pass a function of the row")
        for name in ("prompt", "body"):
            source = getattr(self, name)
            if source is not None and not (callable(source) or (isinstance(source, str) and source)):
                raise ConfigurationError(name, f"expected a column or a function of the row, got {source!r}")
        if self.key is not None and not (isinstance(self.key, str) and self.key):
            raise ConfigurationError("key", f"expected the name of a column, got {self.key!r}")
        if not is_integer(self.concurrency) or self.concurrency < 1:
            raise ConfigurationError("concurrency", f"expected a positive int, got {self.concurrency!r}")
        if not is_number(self.patience) or not 0 < self.patience < float("inf"):
            raise ConfigurationError("patience", f"expected a positive number of seconds, got {self.patience!r}")
        if self.response not in (None, "json"):
            raise ConfigurationError("response", f'expected "json" or None, got {self.response!r}')
        if self.client is not None and (isinstance(self.client, Client) or not callable(self.client)):
            problem = f"expected a function that returns a Client, got {type(self.client).__name__}"
            raise ConfigurationError("client", problem, "the actors call it, each one once")
        if self.journal is not None:
            read_folder(self.journal)
        self._check_quota()
        read_options(self.options)

    def _check_quota(self) -> None:
        if self.quota is None:
            return
        check_quota("quota", self.quota)
        if isinstance(self.quota, BaseQuota) and not isinstance(self.quota, RayQuota):
            problem = f"a {type(self.quota).__name__} cannot be sent to the actors"
            raise ConfigurationError("quota", problem, "use RayQuota, or make it in client=")
        if self.client is not None:
            raise ConfigurationError("quota", "cannot be combined with client", "pass quotas= to the Client")


def read_folder(journal: Journal | str | os.PathLike[str]) -> Journal:
    """Return a journal whose path is a URI or absolute: actors have other working folders than the driver."""
    settings = journal if isinstance(journal, Journal) else Journal(journal)
    if is_uri(settings.path):
        return settings
    return msgspec.structs.replace(settings, path=os.path.abspath(settings.path))


def is_uri(path: str | os.PathLike[str]) -> bool:
    """Return whether a folder is named by a URI."""
    return "://" in os.fspath(path)


def refuse_credentials(arguments: dict[str, Any]) -> None:
    """Raise `ConfigurationError` if keyword arguments would send credentials to the actors; they are masked then."""
    found = _credentials_in(arguments)
    if found is not None:
        mask_secrets(arguments)  # the frame that holds them is part of the traceback
        raise ConfigurationError(found, "would send credentials to the actors", _ON_EACH_NODE)


def _credentials_in(arguments: Mapping[str, Any]) -> str | None:
    """Return the name of an argument that has credentials, or None."""
    for options in (arguments, arguments.get("provider_options")):
        if not isinstance(options, Mapping):
            continue
        for name in _SECRETS:
            if options.get(name) is not None:
                return name
        targets = options.get("failover")
        if isinstance(targets, list | tuple) and any(isinstance(one, Target) and _has_keys(one) for one in targets):
            return "failover"
    return None


def _has_keys(target: Target) -> bool:
    return (
        target.api_key is not None
        or target.credentials is not None
        or _credentials_in(target.options or {}) is not None
    )
