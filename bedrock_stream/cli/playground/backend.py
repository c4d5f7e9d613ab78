"""The service behind the page: an emulator in this process, or AWS if requested, since AWS usage is billed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from ...auth.credentials import Credentials
from ...client.client import Client
from ...types.settings import RetryPolicy
from .models import MODELS
from .scenes import play_scene

if TYPE_CHECKING:
    from ...testing import Emulator

__all__ = ("PACE", "Backend", "Opening", "on_aws", "on_emulator")

PACE = 0.03
"""Seconds between the emulator's deltas: slow enough to see them one by one."""


class Backend(msgspec.Struct, frozen=True):
    """A client and the destination of its requests."""

    client: Client
    place: Literal["emulator", "aws"]
    region: str
    endpoint_url: str | None = None
    """The emulator's address; None for AWS."""


Opening: TypeAlias = Callable[[], AbstractAsyncContextManager[Backend]]
"""Opens the backend for as long as the app runs."""


def on_emulator(emulator: Emulator | None = None) -> Opening:
    """Use `emulator`, by default one that plays the page's scenes. Raises `ConfigurationError` without crcmod."""
    from ...testing import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Emulator

    service = emulator or Emulator(pace=PACE, script=play_scene)

    @asynccontextmanager
    async def open_backend() -> AsyncIterator[Backend]:
        async with (
            service,
            Client(
                region=REGION,
                endpoint_url=service.url,
                credentials=Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY),
                retry=RetryPolicy(max_attempts=1),  # scripted faults are meant to be seen
                use_fips=False,
                use_dual_stack=False,
            ) as client,
        ):
            yield Backend(client, "emulator", REGION, service.url)

    return open_backend


def on_aws(region: str | None = None) -> Opening:
    """Use AWS, with the credentials of the environment.

    Raises `MissingCredentials` or another `ConfigurationError` at once, before the app starts.
    """
    aws_client = Client(region=region)
    explanation = aws_client.explain(MODELS[0].id, "Hello")  # resolves credentials and region without a request

    @asynccontextmanager
    async def open_backend() -> AsyncIterator[Backend]:
        async with aws_client:
            yield Backend(aws_client, "aws", explanation.region)

    return open_backend
