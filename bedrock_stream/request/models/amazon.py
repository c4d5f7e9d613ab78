"""Amazon's models: Nova and Titan.

Sources: the Nova and Bedrock user guides; live answers of the service.
"""

from __future__ import annotations

from ...types.model_facts import ModelFacts
from .rows import Row, changed, row, unknown_row

__all__ = ("AMAZON", "SONIC")

# The `<thinking>` tags of Nova 1 are text. Cache points: not after the tools, and without `ttl`, whatever its value.
_NOVA_1 = ModelFacts(
    family="nova",
    thinking="none",
    top_k=("inferenceConfig", "topK"),
    leading_assistant=False,
    replay="none",
    max_output=10_000,
    cache=True,
    cache_min_tokens=1000,
    cache_ttl=False,
    cache_tools=False,
    cache_beside_tools=False,
    citations=False,
)

# Nova 2 reasons on request. At the effort `high` it sets its own limits and sampling.
_NOVA_2 = changed(
    _NOVA_1,
    thinking="effort",
    efforts=("low", "medium", "high"),
    reasoning_path=("reasoningConfig", "maxReasoningEffort"),
    reasoning_beside={"type": "enabled"},
    excluded_at_high=("max_tokens", "temperature", "top_p", "top_k"),
    replay="unsigned",
    prefill_with_reasoning=False,
    max_output=65_535,
)

SONIC = (
    "supports only InvokeModelWithBidirectionalStream over HTTP/2, which does not accept API keys; "
    "use a text model, or for speech an SDK with bidirectional streaming and IAM credentials"
)
"""Why the speech models are refused."""

_TITAN = ModelFacts(
    family="titan",
    thinking="none",
    tools=False,
    tool_choices=(),
    stream_with_tools=False,
    system=False,
    leading_assistant=False,
    replay="none",
    cache=False,
    images=False,
    video=False,
    citations=False,
)

_ROWS: tuple[Row, ...] = (
    row(ModelFacts(family="nova", refused=SONIC), "Nova Sonic", "amazon.nova-sonic", "amazon.nova-2-sonic"),
    row(_NOVA_1, "Nova Micro", "amazon.nova-micro", images=False, documents=False, video=False),
    row(_NOVA_1, "Nova 1", "amazon.nova-lite", "amazon.nova-pro", "amazon.nova-premier"),
    row(_NOVA_2, "Nova 2", "amazon.nova-2-lite", "amazon.nova-2-pro"),
    row(_TITAN, "Titan Text Premier", "amazon.titan-text-premier", documents=False, max_output=32_000),
    row(_TITAN, "Titan Text Express", "amazon.titan-text-express", max_output=8000),
    row(_TITAN, "Titan Text Lite", "amazon.titan-text-lite", max_output=4000),
)

AMAZON: tuple[Row, ...] = (
    *_ROWS,
    unknown_row(_NOVA_2, _ROWS, "a newer Nova", "amazon.nova"),
    unknown_row(_TITAN, _ROWS, "another Titan", "amazon.titan"),
)
