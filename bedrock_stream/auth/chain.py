"""The default credential chain: a profile, a web identity, a container's role, an instance's role.

    a profile with role_arn > AWS_WEB_IDENTITY_TOKEN_FILE > any other profile > AWS_CONTAINER_CREDENTIALS_* > IMDSv2

The order is botocore's. This module only chooses a source and fetches nothing. Profiles with more than a key pair (SSO,
a process, a chain of roles) are resolved by botocore, which is an optional extra.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, ClassVar

import msgspec

from ..errors import ConfigurationError, CredentialsUnavailable, MissingCredentials
from .botocore import MFA_REMEDY, BotocoreSession
from .credentials import Credentials, check_pair
from .instance import ContainerRole, InstanceRole
from .profiles import Profile
from .sources import HttpAnswer, KeySource, SourceContext
from .sts import AssumeRoleWithWebIdentity

__all__ = ("chain_key_source", "profile_key_source")

# The first four take precedence over a key pair in the same profile, as in botocore's order of providers.
_DYNAMIC_SETTINGS = (
    "role_arn",
    "sso_session",
    "sso_account_id",
    "sso_start_url",
    "credential_process",
    "login_session",
)
_REMEDY = (
    "pass api_key=..., set AWS_BEARER_TOKEN_BEDROCK to a Bedrock API key, or configure an AWS key pair, profile or role"
)
_SEARCHED = (
    "the call's api_key and access_key_id, the client's api_key, credentials, keys and "
    "profile, put_key, the variables AWS_BEARER_TOKEN_BEDROCK, AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, "
    "AWS_WEB_IDENTITY_TOKEN_FILE and AWS_CONTAINER_CREDENTIALS_*, profile {profile!r} of the shared files"
)


def chain_key_source(environ: Mapping[str, str], profile: Profile) -> KeySource:
    """Return the first source that is configured. Raises `MissingCredentials`, `ConfigurationError`."""
    # In the AWS SDKs, an AWS_PROFILE that neither file has is an error and does not fall through to the next provider.
    if profile.named_by is not None and not profile.found:
        problem = f"profile {profile.name!r} is in neither of the shared AWS files"
        raise ConfigurationError(profile.named_by, problem, "name an existing profile, or unset it")
    if "role_arn" in profile.settings:
        return profile_key_source(profile)
    # Set for pods with IAM roles for service accounts (EKS); both variables are required, the session name is optional.
    if environ.get("AWS_WEB_IDENTITY_TOKEN_FILE") and environ.get("AWS_ROLE_ARN"):
        role, file = environ["AWS_ROLE_ARN"], environ["AWS_WEB_IDENTITY_TOKEN_FILE"]
        return _web_identity("AWS_WEB_IDENTITY_TOKEN_FILE", role, file, environ.get("AWS_ROLE_SESSION_NAME"))
    if _has_credential_settings(profile):
        return profile_key_source(profile)
    # ECS sets the relative URI, EKS Pod Identity the full one; the relative one takes precedence.
    for variable in ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        if environ.get(variable):
            return KeySource(variable, "sigv4", ContainerRole(), key=(variable, environ[variable]))
    if environ.get("AWS_EC2_METADATA_DISABLED", "").strip().lower() == "true":
        raise _missing(profile.name, "AWS_EC2_METADATA_DISABLED=true disables instance metadata")
    source = _DefaultInstanceRole(profile.name)
    return KeySource("the instance role (IMDSv2)", "sigv4", source, key=("IMDSv2", profile.name))


def profile_key_source(profile: Profile) -> KeySource:
    """Return the source of a profile. Raises `ConfigurationError` for half a key pair or a profile without any keys."""
    settings, name = profile.settings, f"profile {profile.name!r}"
    # role_arn with web_identity_token_file needs no botocore; with source_profile or credential_source it does.
    if "role_arn" in settings and "web_identity_token_file" in settings:
        session = settings.get("role_session_name")
        return _web_identity(name, settings["role_arn"], settings["web_identity_token_file"], session)
    if "role_arn" in settings and "mfa_serial" in settings:
        problem = f"{name} has mfa_serial: its role needs a code of an MFA device, and this library never asks for one"
        raise ConfigurationError(profile.named_by or "profile", problem, MFA_REMEDY)
    dynamic = next((setting for setting in _DYNAMIC_SETTINGS if setting in settings), None)
    # A key pair takes precedence over credential_process and console login, but not over a role or SSO.
    static = None if dynamic in _DYNAMIC_SETTINGS[:4] else _static_credentials(profile)
    if static is not None:
        return KeySource(name, "sigv4", static)
    if dynamic is None:
        problem = f"profile {profile.name!r} has no credentials"
        raise ConfigurationError(profile.named_by or "profile", problem, "name a profile that has")
    if find_spec("botocore") is None:
        problem = f"{name} has {dynamic}, which needs botocore, and botocore is not installed"
        raise MissingCredentials("credentials", problem, 'pip install "bedrock-stream[botocore]"')
    source = BotocoreSession(profile=profile.name)
    return KeySource(f"{name} ({dynamic})", "sigv4", source, key=("profile", profile.name, *sorted(settings.items())))


class _DefaultInstanceRole:
    """The instance role as the last source of the chain.

    Most machines have none, so a failure is reported as `MissingCredentials`, with everything that was searched; except
    for one that may pass, of a metadata service that has answered.
    """

    outlives_expiry: ClassVar[bool] = True

    def __init__(self, profile: str) -> None:
        self._role = InstanceRole()
        self._profile = profile

    @property
    def name(self) -> str:
        return self._role.name

    async def fetch(self, context: SourceContext) -> Credentials:
        has_answered = False

        async def http(*arguments: Any, **options: Any) -> HttpAnswer:
            nonlocal has_answered
            response = await context.http(*arguments, **options)
            has_answered = True
            return response

        try:
            return await self._role.fetch(msgspec.structs.replace(context, http=http))
        except CredentialsUnavailable as error:
            if has_answered and error.retryable:
                raise
            raise _missing(self._profile, str(error)) from None


def _missing(profile: str, reason: str) -> MissingCredentials:
    searched = f"{_SEARCHED.format(profile=profile)}, and {reason}"
    return MissingCredentials("credentials", "no credentials found", _REMEDY, searched)


def _web_identity(name: str, role: str, file: str, session: str | None) -> KeySource:
    source = AssumeRoleWithWebIdentity(role, file, session or "bedrock-stream")
    return KeySource(f"{name} for {role}", "sigv4", source, key=("web identity", role, file, session))


def _has_credential_settings(profile: Profile) -> bool:
    names = ("aws_access_key_id", "aws_secret_access_key", *_DYNAMIC_SETTINGS)
    return any(name in profile.settings for name in names)


def _static_credentials(profile: Profile) -> Credentials | None:
    settings = profile.settings
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    key, secret, token = (settings.get(name) or None for name in names)
    try:
        return check_pair(key, secret, token)
    except ConfigurationError as error:
        name = f"aws_{error.argument} of profile {profile.name!r}"
        raise ConfigurationError(name, error.problem, error.remedy) from None
