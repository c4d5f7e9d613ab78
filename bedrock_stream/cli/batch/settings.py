"""The options of the command, checked before anything is read or sent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from ...batch.formats import FORMATS, Invocation
from ...batch.stop import Stop
from ...client.pricing import Price
from ...errors import ConfigurationError
from ...transport.quota import Quota, QuotaLike

__all__ = ("BatchSettings", "check_paths", "quota_of", "read_prices", "stop_of")

_INVOCATIONS = ("InvokeModel", "Converse")


class BatchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says. Raises `ConfigurationError` for a value that cannot be meant."""

    source: str
    out: str
    model: str | None = None
    concurrency: int = 256
    format: str = "auto"
    invocation: Invocation | None = None
    options: dict[str, Any] = {}
    """Of each call: `system`, `max_tokens`, `temperature`, `top_p`."""
    stream: bool | None = None
    ordered: bool = False
    retry_failed: bool = False
    dedupe: bool = False
    with_input: bool = True
    force: bool = False
    as_json: bool = False
    rpm: float | None = None
    tpm: float | None = None
    redis: str | None = None
    max_cost: float | None = None
    max_output_tokens: int | None = None
    max_failures: int | None = None
    prices: str | None = None
    patience: float = 3600.0
    region: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None

    def __post_init__(self) -> None:
        if self.format not in ("auto", *FORMATS):
            raise ConfigurationError("--format", f"expected auto, {', '.join(FORMATS)}, got {self.format!r}")
        if self.invocation not in (None, *_INVOCATIONS):
            raise ConfigurationError(
                "--invocation-type", f"expected {' or '.join(_INVOCATIONS)}, got {self.invocation!r}"
            )
        if self.concurrency < 1:
            raise ConfigurationError("--concurrency", f"expected a positive number, got {self.concurrency}")
        if self.redis is not None and self.rpm is None and self.tpm is None:
            raise ConfigurationError("--redis", "has no limit to share", "pass --rpm, --tpm or both")
        if self.model is not None and not self.model.strip():
            raise ConfigurationError("--model", "expected a model id, got an empty value")

    @property
    def partial(self) -> str:
        """The journal."""
        return f"{self.out}.partial"

    @property
    def failed(self) -> str:
        """The file for the lines that failed."""
        return f"{self.out}.failed.jsonl"

    @property
    def manifest(self) -> str:
        """The file for the counters."""
        return f"{self.out}.manifest.json"


def check_paths(settings: BatchSettings) -> None:
    """Raise `ConfigurationError` if OUT cannot be written, or must not be."""
    out, folder = settings.out, os.path.dirname(os.path.abspath(settings.out))
    if out == "-" or os.path.isdir(out):
        raise ConfigurationError("OUT", f"expected a file, got {out!r}", "its journal is kept beside it")
    if not os.path.isdir(folder):
        raise ConfigurationError("OUT", f"the folder {folder!r} does not exist", "make it")
    if not os.path.exists(out):
        return
    if settings.source != "-" and os.path.exists(settings.source) and os.path.samefile(settings.source, out):
        raise ConfigurationError("OUT", "is the same file as IN", "name another file")
    if not settings.force:
        again = f"; with {settings.partial!r} it asks nothing twice" if os.path.exists(settings.partial) else ""
        raise ConfigurationError("OUT", f"{out!r} exists", f"pass --force to write it anew{again}")


def stop_of(settings: BatchSettings) -> Stop:
    """Return the ceilings. Raises `ConfigurationError`."""
    return Stop(cost=settings.max_cost, output_tokens=settings.max_output_tokens, failures=settings.max_failures)


def quota_of(settings: BatchSettings) -> Mapping[str, QuotaLike] | None:
    """Return the quota of all models, None without one. Raises `ConfigurationError`."""
    if settings.rpm is None and settings.tpm is None:
        return None
    if settings.redis is None:
        return {"": Quota(rpm=settings.rpm, tpm=settings.tpm)}
    from ...integrations.redis import RedisQuota

    name = f"bedrock-stream/batch/{settings.model or 'all'}"
    return {"": RedisQuota(settings.redis, name, rpm=settings.rpm, tpm=settings.tpm)}


def read_prices(path: str | None) -> dict[str, Price] | None:
    """Return the price table of `--prices`: `{"model id": {"input": 3, "output": 15}}`. Raises `ConfigurationError`."""
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(), type=dict[str, Price])
    except OSError as error:
        raise ConfigurationError("--prices", f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        remedy = '{"MODEL": {"input": 3.0, "output": 15.0}}, for a million tokens'
        raise ConfigurationError("--prices", f"{path}: {error}", f"expected {remedy}") from None
