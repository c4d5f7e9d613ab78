"""What to do about each kind of refusal: a table of errors and the service's words, the first match counts. Pure.

The words are those of real answers of the service.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from ... import errors
from ...errors import BedrockStreamError, ConfigurationError, ServiceError, SignatureExpired
from ...request.endpoints import Endpoint
from ...request.models import describe, profiles_for
from ...request.models.table import row_of
from ..catalog import nearest
from .checks import renewal
from .facts import Identity

__all__ = ("Situation", "fact_of", "remedy_for")


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """The call that was refused."""

    name: str
    """The model's id as the user wrote it."""
    region: str
    identity: Identity
    endpoint: Endpoint | None


class _Rule(NamedTuple):
    kinds: type[BedrockStreamError] | tuple[type[BedrockStreamError], ...]
    words: str
    """A regular expression for the error's text; an empty one matches every text."""
    remedy: str
    """`{model}`, `{region}`, `{renewal}`, `{profiles}`, `{ids}` and `{endpoint}` are replaced."""


_ACTION = "bedrock:InvokeModelWithResponseStream"
_LATER = "try again later; if it lasts, see the AWS Health Dashboard for Bedrock in {region}"

_SOME_PROFILE = "an inference profile that contains the model"

_RULES = (
    # Who asks
    _Rule(
        errors.AccessDenied,
        "UnrecognizedClient|InvalidClientTokenId|security token included in the request is invalid",
        "AWS does not know this access key: it is wrong, deleted or inactive, or its AWS_SESSION_TOKEN is missing or "
        "old; copy key, secret and token again",
    ),
    _Rule(
        errors.AccessDenied,
        "API Key|bearer",
        "create another API key in the Bedrock console; short-term keys last 12 hours at most, and are for one region",
    ),
    _Rule(
        errors.AccessDenied,
        "MissingAuthenticationToken|Missing Authentication Token",
        "something on the way removes the Authorization header: check the proxy, or the gateway at {endpoint}",
    ),
    # What they may do
    _Rule(
        errors.AccessDenied,
        "explicit deny|service control policy",
        f"a policy denies {_ACTION} explicitly, often by region: ask the administrator of the organization; for an "
        "inference profile, the regions behind it count too",
    ),
    _Rule(
        errors.AccessDenied,
        "aws-marketplace|Marketplace",
        "allow aws-marketplace:Subscribe and aws-marketplace:ViewSubscriptions for one first call, and try again "
        "some minutes later",
    ),
    _Rule(
        errors.AccessDenied,
        "not authorized to perform",
        f"allow the IAM action {_ACTION} on {{model}}; for an inference profile, on the profile and on the "
        "foundation model in each region behind it",
    ),
    _Rule(
        (errors.AccessDenied, errors.ResourceNotFound),
        "use.case",
        "fill in the use case form of this maker in the Bedrock console (Model catalog), and try again some minutes "
        "later",
    ),
    _Rule(
        errors.AccessDenied,
        "",
        "request access to {model} in the Bedrock console of {region} (Model access), and "
        f"allow the IAM action {_ACTION} on it",
    ),
    _Rule(errors.ExpiredToken, "", "{renewal}"),
    _Rule(errors.SignatureExpired, "", "synchronize the clock of this machine; see the check of the clock"),
    _Rule(
        errors.InvalidSignature,
        "scoped to a valid region",
        "{endpoint} is in another region than {region}: pass --region, or correct the endpoint's URL",
    ),
    _Rule(
        errors.InvalidSignature,
        "",
        "the secret access key does not belong to the access key id, or something on "
        "the way changes the request: copy both keys again, and check the proxy",
    ),
    # The model
    _Rule(errors.ValidationFailed, "on-demand throughput", "use {profiles}"),
    _Rule(
        (errors.ValidationFailed, errors.ResourceNotFound),
        "legacy|end of its life|deprecated version",
        "the model is retired: use a newer one; see `bedrock-stream models`",
    ),
    _Rule(errors.ServiceError, "UnknownOperation", "{endpoint} is not Bedrock Runtime: correct the endpoint's URL"),
    _Rule(
        (errors.ValidationFailed, errors.ResourceNotFound),
        "identifier|not found|could not resolve|^ResourceNotFound",
        "use an id that {region} has{ids}; `aws bedrock list-inference-profiles --region {region}` lists yours",
    ),
    _Rule(
        errors.ValidationFailed,
        "",
        "the model takes calls of another form: see what it takes with `bedrock-stream models {model}`",
    ),
    # The service
    _Rule(
        errors.Throttled, "per day", "the day's tokens are used up: wait, or request a higher quota in Service Quotas"
    ),
    _Rule(
        errors.Throttled,
        "",
        "wait a minute and try again; if it lasts, request a higher quota in Service Quotas, or use {profiles}",
    ),
    _Rule(errors.QuotaExceeded, "", "request a higher quota in Service Quotas for {region}"),
    _Rule(errors.ModelNotReady, "", "the model is being loaded: try again in some minutes"),
    _Rule(errors.ServiceError, "", _LATER),
    # The way
    _Rule(errors.NotAnEventStream, "", "something else than Bedrock answers: check the endpoint's URL and the proxy"),
    _Rule(
        (errors.FirstEventTimeout, errors.FirstContentTimeout, errors.IdleTimeout, errors.TotalTimeout),
        "",
        "the connection stands but nothing comes: check whether a proxy holds back streamed responses; else " + _LATER,
    ),
    _Rule(
        (errors.TransportError, errors.StreamInterrupted),
        "",
        "the connection broke: check the proxy, firewall and VPN, and try again",
    ),
    _Rule(errors.InvalidFrame, "", "the response was changed on its way: check the proxy"),
)


def fact_of(error: BedrockStreamError) -> str:
    """Return what happened: the service's own words, and the id of the request."""
    if isinstance(error, ConfigurationError):
        return f"{error.argument}: {error.problem}"
    text = str(error)
    if isinstance(error, ServiceError) and not isinstance(error, SignatureExpired):
        # Without the remedy that the library may have added to the text.
        text = f"{error.code or type(error).__name__} (HTTP {error.status}): {error.message}"
    return text + (f" (request {error.request_id})" if error.request_id else "")


def remedy_for(error: BedrockStreamError, situation: Situation) -> str:
    """Return what to do about a refused call."""
    if isinstance(error, ConfigurationError):
        return error.remedy or f"correct {error.argument}"
    code = error.code if isinstance(error, ServiceError) else ""
    text = f"{code}: {error}"
    for rule in _RULES:
        if isinstance(error, rule.kinds) and re.search(rule.words, text, re.IGNORECASE):
            return rule.remedy.format_map(_names(situation))
    return _LATER.format_map(_names(situation))


def _names(situation: Situation) -> dict[str, str]:
    name, region = situation.name, situation.region
    profiles: tuple[str, ...] = ()
    similar = nearest(name)
    try:
        model = describe(name)
    except ConfigurationError:
        pass
    else:
        profiles = profiles_for(model, region) or profiles_for(describe(model.base), region)
        row = row_of(model.base)
        similar = similar if row is None or not row.known else []  # the spelling is right
    others = [known for known in (*profiles, *similar) if known != name]
    return {
        "model": name,
        "region": region,
        "renewal": renewal(situation.identity),
        "profiles": f"the inference profile {' or '.join(profiles)}" if profiles else _SOME_PROFILE,
        "ids": f", such as {' or '.join(others)}" if others else "",
        "endpoint": "the endpoint" if situation.endpoint is None else situation.endpoint.url,
    }
