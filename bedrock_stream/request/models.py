"""What a model id says: who made the model, which family it is, and which formats it can be spoken to in.

Accepted are foundation-model ids, inference-profile ids and every kind of ARN, with or without a leading `bedrock:` or
`amazon_bedrock:`. The id is sent as it was given; nothing is ever stripped from it but that prefix. What cannot be told
from an id (an application inference profile, a provisioned model) speaks Converse, as every unknown family does.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from ..errors import ConfigurationError, UnsupportedOperation

__all__ = ("MAX_LENGTH", "Model", "describe", "normalize")

MAX_LENGTH = 2048
"""The service's own limit on a model id."""

_PREFIXES = ("amazon_bedrock:", "bedrock:")
_GEO = frozenset({"us", "eu", "ap", "apac", "ca", "au", "jp", "us-gov", "global"})
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
        "zai",
    }
)
_ARN = re.compile(r"arn:[^:]+:(bedrock|sagemaker):[^:]*:[^:]*:([a-z-]+)/(.+)")
# What other services of the Bedrock family run, none of which takes an API key.
_ELSEWHERE = {
    "agent": "agents run in bedrock-agent-runtime",
    "agent-alias": "agents run in bedrock-agent-runtime",
    "flow": "flows run in bedrock-agent-runtime",
    "knowledge-base": "knowledge bases are asked in bedrock-agent-runtime",
    "data-automation-project": "data automation runs in bedrock-data-automation-runtime",
    "blueprint": "data automation runs in bedrock-data-automation-runtime",
    "data-automation-profile": "data automation runs in bedrock-data-automation-runtime",
}
# ARNs whose last part is a model id.
_TELLING_ARNS = frozenset({"foundation-model", "inference-profile"})

# Vendor and beginning of the name -> family. The first match counts.
_FAMILIES: tuple[tuple[str, str, str], ...] = (
    ("anthropic", "claude", "claude"),
    ("openai", "gpt-oss", "gpt-oss"),
    ("meta", "llama2", "llama2"),
    ("meta", "llama4", "llama4"),
    ("meta", "llama", "llama3"),
    ("cohere", "command-r", "command-r"),
    ("amazon", "nova", "nova"),
    ("amazon", "titan", "titan"),
    ("mistral", "", "mistral"),
    ("ai21", "", "ai21"),
    ("deepseek", "", "deepseek"),
    ("qwen", "", "qwen"),
    ("writer", "", "palmyra"),
)
_NATIVE = {"claude": "anthropic", "gpt-oss": "openai", "llama2": "llama", "llama3": "llama", "llama4": "llama"}


class Model(msgspec.Struct, frozen=True):
    """What an id says."""

    id: str
    """As it goes into the URL."""
    base: str
    """The model's own id, without ARN and geo prefix; the id itself where it tells nothing."""
    vendor: str | None = None
    family: str | None = None
    """`claude`, `gpt-oss`, `llama2`, `llama3`, `llama4`, `command-r`, `nova`, ...; None where it cannot be told."""
    geo: str | None = None
    """The inference profile's prefix, `us` or `global`."""
    arn_kind: str | None = None
    """`inference-profile`, `provisioned-model`, ...; None where the id is no ARN."""

    @property
    def native(self) -> str | None:
        """The dialect for InvokeModel: `anthropic`, `openai`, `llama`, or None where there is none."""
        return _NATIVE.get(self.family or "")


def normalize(model: str) -> str:
    """The id as it goes into the URL. Raises `ConfigurationError` for what cannot be one."""
    if not isinstance(model, str):
        raise ConfigurationError("model", f"a {type(model).__name__} is no model id", "use a str")
    name = model
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    if not name.strip("."):  # dots alone would climb the path
        raise ConfigurationError("model", f"{model!r} names no model", "use a model id, an inference profile or an ARN")
    if any(character.isspace() or not character.isprintable() for character in name):
        raise ConfigurationError("model", f"{model!r} contains white space or control characters", "remove them")
    if len(name) > MAX_LENGTH:
        raise ConfigurationError("model", f"it is {len(name)} characters long", f"{MAX_LENGTH} is the limit")
    return name


def describe(model: str) -> Model:
    """What an id says. Raises as `normalize` does, and `UnsupportedOperation` for what no request here can reach.

    >>> model = describe("us.anthropic.claude-sonnet-4-5-20250929-v1:0")
    >>> model.vendor, model.family, model.geo, model.native
    ('anthropic', 'claude', 'us', 'anthropic')
    """
    return _described(model) if isinstance(model, str) else _described(normalize(model))


@lru_cache(maxsize=256)  # a program speaks to a few models, thousands of times
def _described(model: str) -> Model:
    name = normalize(model)
    arn = _ARN.fullmatch(name)
    arn_kind = None if arn is None else arn[2]
    base = name
    if arn is not None:
        _check_reachable(name, arn[2])
        if arn_kind not in _TELLING_ARNS:
            return Model(name, name, arn_kind=arn_kind)
        base = arn[3]
    geo, _, rest = base.partition(".")
    if rest and (geo in _GEO or rest.partition(".")[0] in _VENDORS):
        base = rest
    else:
        geo = ""
    vendor, _, own = base.partition(".")
    if vendor not in _VENDORS:
        return Model(name, base, geo=geo or None, arn_kind=arn_kind)
    if vendor == "amazon" and own.startswith("nova") and "sonic" in own:
        raise UnsupportedOperation(
            "model",
            f"{model!r} speaks only InvokeModelWithBidirectionalStream over HTTP/2, which takes no API key",
            "use a model of text here, and for speech an SDK that streams both ways, with IAM keys",
        )
    family = next((family for maker, start, family in _FAMILIES if maker == vendor and own.startswith(start)), None)
    return Model(name, base, vendor, family, geo or None, arn_kind)


def _check_reachable(name: str, arn_kind: str) -> None:
    if arn_kind in _ELSEWHERE:
        problem = f"{name!r} is no model: {_ELSEWHERE[arn_kind]}, which takes no API key"
        raise UnsupportedOperation("model", problem, "use that service's client with IAM keys")
