"""Keys for a role, from the Security Token Service."""

from __future__ import annotations

from .roles import AssumeRole, AssumeRoleWithWebIdentity, KeySource, TokenSource

__all__ = ("AssumeRole", "AssumeRoleWithWebIdentity", "KeySource", "TokenSource")
