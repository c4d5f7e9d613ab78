"""Where keys are when nobody has put them anywhere: a profile, a web identity, a container's or a machine's role.

    a profile with role_arn > AWS_WEB_IDENTITY_TOKEN_FILE > any other profile > AWS_CONTAINER_CREDENTIALS_* > IMDSv2

The order of botocore. Only looks: no source is asked here. What of a profile is more than two keys (SSO, a process, a
chain of roles) is botocore's, through the extra of that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from ..errors import ConfigurationError, CredentialsUnavailable, MissingCredentials
from .botocore import BotocoreSession
from .credentials import Credentials, check_pair
from .instance import ContainerRole, InstanceRole
from .profiles import Profile
from .sources import KeySource, SourceContext
from .sts import AssumeRoleWithWebIdentity

__all__ = ("chain_key_source", "profile_key_source")

_DYNAMIC = ("role_arn", "sso_session", "sso_account_id", "sso_start_url", "credential_process", "login_session")
_LOOKED_AT = (
    "none were found in the call's api_key and access_key_id, the client's api_key, credentials, keys and profile, "
    "put_key, the variables AWS_BEARER_TOKEN_BEDROCK, AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, "
    "AWS_WEB_IDENTITY_TOKEN_FILE and AWS_CONTAINER_CREDENTIALS_*, profile {profile!r} of the shared files"
)


def chain_key_source(environ: Mapping[str, str], profile: Profile) -> KeySource:
    """The first place that may have keys. Raises `MissingCredentials`, `ConfigurationError`."""
    if profile.named_by is not None and not profile.found:
        problem = f"{profile.name!r} is in neither of the shared AWS files"
        raise ConfigurationError(profile.named_by, problem, "name a profile that is there, or unset it")
    if "role_arn" in profile.settings:
        return profile_key_source(profile)
    if environ.get("AWS_WEB_IDENTITY_TOKEN_FILE") and environ.get("AWS_ROLE_ARN"):
        role, file = environ["AWS_ROLE_ARN"], environ["AWS_WEB_IDENTITY_TOKEN_FILE"]
        return _web_identity("AWS_WEB_IDENTITY_TOKEN_FILE", role, file, environ.get("AWS_ROLE_SESSION_NAME"))
    if _speaks_of_keys(profile):
        return profile_key_source(profile)
    for variable in ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        if environ.get(variable):
            return KeySource(variable, "sigv4", ContainerRole(), key=(variable, environ[variable]))
    if environ.get("AWS_EC2_METADATA_DISABLED", "").strip().lower() == "true":
        raise _missing(profile.name, "AWS_EC2_METADATA_DISABLED shuts the last place")
    return KeySource("the machine's role (IMDSv2)", "sigv4", _LastResort(profile.name), key=("IMDSv2", profile.name))


def profile_key_source(profile: Profile) -> KeySource:
    """The keys of one profile. Raises `ConfigurationError` for half a pair and for a profile without any."""
    settings, name = profile.settings, f"profile {profile.name!r}"
    if "role_arn" in settings and "web_identity_token_file" in settings:
        session = settings.get("role_session_name")
        return _web_identity(name, settings["role_arn"], settings["web_identity_token_file"], session)
    dynamic = next((setting for setting in _DYNAMIC if setting in settings), None)
    static = None if dynamic in _DYNAMIC[:4] else _static(profile)
    if static is not None:
        return KeySource(name, "sigv4", static)
    if dynamic is None:
        problem = f"{profile.name!r} holds no keys"
        raise ConfigurationError(profile.named_by or "profile", problem, "name a profile that does")
    if find_spec("botocore") is None:
        problem = f"{name} has {dynamic}, which botocore resolves, and botocore is not installed"
        raise MissingCredentials("credentials", problem, 'pip install "bedrock-stream[botocore]"')
    source = BotocoreSession(profile=profile.name)
    return KeySource(f"{name} ({dynamic})", "sigv4", source, key=("profile", profile.name, *sorted(settings.items())))


class _LastResort:
    """The machine's role. Most machines have none, so what is said then is that there are no keys anywhere."""

    def __init__(self, profile: str) -> None:
        self._role = InstanceRole()
        self._profile = profile

    @property
    def name(self) -> str:
        return self._role.name

    async def fetch(self, context: SourceContext) -> Credentials:
        try:
            return await self._role.fetch(context)
        except CredentialsUnavailable as error:
            raise _missing(self._profile, f"and {error}") from None


def _missing(profile: str, last: str) -> MissingCredentials:
    return MissingCredentials("credentials", f"{_LOOKED_AT.format(profile=profile)}; {last}", "give one of them")


def _web_identity(key_source: str, role: str, file: str, session: str | None) -> KeySource:
    source = AssumeRoleWithWebIdentity(role, file, session or "bedrock-stream")
    return KeySource(f"{key_source} for {role}", "sigv4", source, key=("web identity", role, file, session))


def _speaks_of_keys(profile: Profile) -> bool:
    return any(name in profile.settings for name in ("aws_access_key_id", "aws_secret_access_key", *_DYNAMIC))


def _static(profile: Profile) -> Credentials | None:
    settings = profile.settings
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    key, secret, token = (settings.get(name) or None for name in names)
    try:
        return check_pair(key, secret, token)
    except ConfigurationError as error:
        name = f"aws_{error.argument} of profile {profile.name!r}"
        raise ConfigurationError(name, error.problem, error.remedy) from None
