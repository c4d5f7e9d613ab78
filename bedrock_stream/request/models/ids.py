"""Parse model ids, and look up what the model takes.

Accepted are foundation-model ids, inference-profile ids and ARNs of every kind, with or without a leading `bedrock:` or
`amazon_bedrock:`. Only that prefix is removed; the rest of the id is sent unchanged. An id that does not name its model
(an application inference profile, a provisioned model) has no family and uses Converse, as every unknown family does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from ...errors import ConfigurationError, UnsupportedOperation
from ...types.model_facts import ModelFacts
from .amazon import SONIC
from .table import UNKNOWN, facts_of

__all__ = (
    "MAX_LENGTH",
    "Model",
    "check_models",
    "check_reachable",
    "describe",
    "is_plain",
    "needs_profile",
    "normalize",
    "profiles_for",
)

MAX_LENGTH = 2048
"""The longest model id that the service accepts, in characters."""

_PREFIXES = ("amazon_bedrock:", "bedrock:")
# Prefixes of cross-region inference profiles. Another prefix is accepted in front of a known vendor.
_GEO = frozenset({"us", "eu", "ap", "apac", "ca", "au", "jp", "in", "sa", "mx", "us-gov", "global"})
# Beginnings of region names -> the prefix of the inference profiles there: of older models, and of newer ones, which
# have profiles for single countries and one for all regions. Source: the Bedrock user guide.
_REGION_GEOS = (
    ("us-gov-", "us-gov", "us-gov"),
    ("us-", "us", "us"),
    ("ca-", "us", "us"),
    ("eu-", "eu", "eu"),
    ("ap-northeast-1", "apac", "jp"),
    ("ap-northeast-3", "apac", "jp"),
    ("ap-southeast-2", "apac", "au"),
    ("ap-southeast-4", "apac", "au"),
    ("ap-", "apac", None),
)
# The first models with profiles for all regions: Nova 2, and Claude from this date or without a date in its id.
_NEWER = re.compile(r"amazon\.nova-[2-9]|anthropic\.claude-(?!v|instant|.*-20\d{6}-)")
_FIRST_DATE = "20250929"
# Older models that no region serves without an inference profile. Source: the model cards of the Bedrock user guide.
_PROFILE_ONLY = (
    "amazon.nova-premier",
    "anthropic.claude-3-7-",
    "anthropic.claude-opus-4",
    "anthropic.claude-sonnet-4",
    "deepseek.r1",
    "meta.llama3-2-",
    "meta.llama4-",
    "mistral.pixtral-large",
    "writer.palmyra-x",
)
_VENDORS = frozenset(
    {
        "ai21",
        "amazon",
        "anthropic",
        "cohere",
        "deepseek",
        "google",
        "luma",
        "meta",
        "minimax",
        "mistral",
        "moonshot",
        "moonshotai",
        "nvidia",
        "openai",
        "qwen",
        "stability",
        "twelvelabs",
        "writer",
        "xai",
        "zai",
    }
)
_ID_FORM = "use a model id, an inference profile or an ARN"
_ARN = re.compile(r"arn:[^:]+:(bedrock|sagemaker):[^:]*:[^:]*:([a-z-]+)/(.+)")
# Resources that other Bedrock services run. None of these services accepts API keys.
_OTHER_SERVICES = {
    "agent": "agents run in bedrock-agent-runtime",
    "agent-alias": "agents run in bedrock-agent-runtime",
    "flow": "flows run in bedrock-agent-runtime",
    "knowledge-base": "knowledge bases are queried in bedrock-agent-runtime",
    "data-automation-project": "data automation runs in bedrock-data-automation-runtime",
    "blueprint": "data automation runs in bedrock-data-automation-runtime",
    "data-automation-profile": "data automation runs in bedrock-data-automation-runtime",
}
# Kinds of ARNs that end in a model id. The others end in an id that AWS generated or the account chose.
_MODEL_ID_ARNS = frozenset({"foundation-model", "inference-profile"})


class Model(msgspec.Struct, frozen=True):
    """A parsed model id."""

    id: str
    """The id as it is sent in the URL."""
    base: str
    """The foundation model's id, without ARN and geo prefix; equal to `id` if the id does not contain it."""
    vendor: str | None = None
    facts: ModelFacts = UNKNOWN
    """What the model takes."""
    geo: str | None = None
    """The prefix of the inference profile, such as `us` or `global`."""
    arn_kind: str | None = None
    """`inference-profile`, `provisioned-model`, ...; None if the id is not an ARN."""

    @property
    def family(self) -> str | None:
        """`claude`, `gpt-oss`, `llama3`, `nova`, ...; None if unknown."""
        return self.facts.family

    @property
    def native(self) -> str | None:
        """The dialect for InvokeModel: `anthropic`, `openai`, `llama`, or None for Converse only."""
        return self.facts.native


def normalize(model: str) -> str:
    """Return the id as it is sent in the URL. Raises `ConfigurationError` for an invalid id."""
    if not isinstance(model, str):
        raise ConfigurationError("model", f"expected a str, got {type(model).__name__}", _ID_FORM)
    name = model
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    if not name.strip("."):  # "." and ".." are dot segments of the URL's path
        raise ConfigurationError("model", f"{model!r} is not a model id", _ID_FORM)
    if any(character.isspace() or not character.isprintable() for character in name):
        raise ConfigurationError("model", f"{model!r} contains white space or control characters", "remove them")
    if len(name) > MAX_LENGTH:
        problem = f"expected at most {MAX_LENGTH} characters, got {len(name)}"
        raise ConfigurationError("model", problem, _ID_FORM)
    return name


def describe(model: str, known: str | ModelFacts | None = None) -> Model:
    """Parse an id and look up what the model takes.

    `known` says what an opaque id is: the id of its base model, or the facts themselves. Raises as `normalize` does,
    and `UnsupportedOperation` for resources of other services or protocols.

    >>> model = describe("us.anthropic.claude-sonnet-4-5-20250929-v1:0")
    >>> model.vendor, model.family, model.geo, model.native
    ('anthropic', 'claude', 'us', 'anthropic')
    """
    parsed = _parse(model) if isinstance(model, str) else _parse(normalize(model))  # a value may be unhashable
    if known is None:
        return parsed
    if isinstance(known, ModelFacts):
        return msgspec.structs.replace(parsed, facts=known)
    base = describe(known)
    geo = parsed.geo or base.geo
    return msgspec.structs.replace(parsed, base=base.base, vendor=base.vendor, facts=base.facts, geo=geo)


def profiles_for(model: Model, region: str) -> tuple[str, ...]:
    """Return the ids of the inference profiles that should contain a foundation model, the one for the region first.

    >>> profiles_for(describe("anthropic.claude-sonnet-4-5-20250929-v1:0"), "eu-west-1")[0]
    'eu.anthropic.claude-sonnet-4-5-20250929-v1:0'
    """
    if not _is_bare(model):
        return ()
    is_newer = _is_newer(model)
    _, older, newer = next((row for row in _REGION_GEOS if region.startswith(row[0])), ("", None, None))
    geos = (newer, None if newer == "us-gov" else "global") if is_newer else (older,)
    return tuple(f"{geo}.{model.base}" for geo in geos if geo is not None)


def needs_profile(model: Model) -> bool:
    """Return whether an id is that of a foundation model which is served by inference profiles alone.

    Models that only some regions serve without a profile are not known here; the service's refusal tells.
    """
    return _is_bare(model) and (_is_newer(model) or model.base.startswith(_PROFILE_ONLY))


def is_plain(model: Model) -> bool:
    """Return whether an id is that of a model alone: neither an ARN nor an inference profile."""
    return model.geo is None and model.arn_kind is None


def _is_bare(model: Model) -> bool:
    return model.geo is None and model.vendor is not None and model.arn_kind in (None, "foundation-model")


def _is_newer(model: Model) -> bool:
    date = re.search(r"-(20\d{6})-", model.base)
    is_dated = model.vendor == "anthropic" and date is not None and date[1] >= _FIRST_DATE
    return is_dated or _NEWER.match(model.base) is not None


def check_reachable(model: Model) -> None:
    """Raise `UnsupportedOperation` for a model that takes no conversation on this endpoint."""
    if model.facts.refused is not None:
        raise _refused(model.id, model.facts.refused)


def _refused(model: str, reason: str) -> UnsupportedOperation:
    problem, _, remedy = reason.partition("; ")
    return UnsupportedOperation("model", f"{model!r} {problem}", remedy)


def check_models(models: Any) -> dict[str, str | ModelFacts]:
    """Return what a client says of opaque ids. Raises `ConfigurationError`."""
    if not isinstance(models, Mapping):
        raise ConfigurationError("models", f"expected a dict, got {type(models).__name__}", "map ids to base model ids")
    for name, known in models.items():
        if not isinstance(known, str | ModelFacts):
            problem = f"expected a model id or ModelFacts, got {type(known).__name__}"
            raise ConfigurationError(f"models[{name!r}]", problem)
        if isinstance(known, str):
            describe(known)
    return {normalize(name): known for name, known in models.items()}


@lru_cache(maxsize=256)  # a program uses a few models for all of its calls
def _parse(model: str) -> Model:
    name = normalize(model)
    arn = _ARN.fullmatch(name)
    arn_kind = None if arn is None else arn[2]
    base = name
    if arn is not None:
        _check_service(name, arn[2])
        # Application inference profiles, provisioned, custom and imported models, prompts and prompt routers.
        if arn_kind not in _MODEL_ID_ARNS:
            return Model(name, name, arn_kind=arn_kind)
        base = arn[3]
    # `us.anthropic.claude-...`: geo prefix, vendor, model. The foundation model's id starts with the vendor.
    geo, _, rest = base.partition(".")
    if rest and (geo in _GEO or rest.partition(".")[0] in _VENDORS):
        base = rest
    else:
        geo = ""
    vendor, _, model_name = base.partition(".")
    if vendor not in _VENDORS:
        return Model(name, base, geo=geo or None, arn_kind=arn_kind)
    if vendor == "amazon" and model_name.startswith("nova") and "sonic" in model_name:
        raise _refused(model, SONIC)
    return Model(name, base, vendor, facts_of(base), geo or None, arn_kind)


def _check_service(name: str, arn_kind: str) -> None:
    if arn_kind in _OTHER_SERVICES:
        problem = f"{name!r} is not a model: {_OTHER_SERVICES[arn_kind]}, which does not accept API keys"
        raise UnsupportedOperation("model", problem, "use that service's client with IAM credentials")
