"""Who answers the page: an emulator in this process, or AWS where that was asked for. Money is never spent unasked."""

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

__all__ = ("PACE", "Opening", "Upstream", "on_aws", "on_emulator")

PACE = 0.03
"""Seconds between the emulator's deltas: slow enough to be seen one by one."""


class Upstream(msgspec.Struct, frozen=True):
    """A client, and where its requests go."""

    client: Client
    place: Literal["emulator", "aws"]
    region: str


Opening: TypeAlias = Callable[[], AbstractAsyncContextManager[Upstream]]
"""Opens an upstream for as long as the app runs."""


def on_emulator(emulator: Emulator | None = None) -> Opening:
    """The given emulator, or one that plays the page's own scenes. Raises `ConfigurationError` without crcmod."""
    from ...testing import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Emulator

    played = emulator or Emulator(pace=PACE, script=play_scene)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Upstream]:
        async with (
            played,
            Client(
                region=REGION,
                endpoint_url=played.url,
                credentials=Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY),
                retry=RetryPolicy(max_attempts=1),  # a fault is played to be seen
                use_fips=False,
                use_dual_stack=False,
            ) as client,
        ):
            yield Upstream(client, "emulator", REGION)

    return opened


def on_aws(region: str | None = None) -> Opening:
    """AWS, with the keys of the environment. Raises `MissingCredentials` and `ConfigurationError` at once."""
    made = Client(region=region)
    explained = made.explain(MODELS[0].id, "Hello")

    @asynccontextmanager
    async def opened() -> AsyncIterator[Upstream]:
        async with made:
            yield Upstream(made, "aws", explained.region)

    return opened
