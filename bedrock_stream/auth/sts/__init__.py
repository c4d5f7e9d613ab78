"""Temporary credentials for a role, from the AWS Security Token Service (STS)."""

from __future__ import annotations

from .roles import AssumeRole, AssumeRoleWithWebIdentity, TokenSource

__all__ = ("AssumeRole", "AssumeRoleWithWebIdentity", "TokenSource")
