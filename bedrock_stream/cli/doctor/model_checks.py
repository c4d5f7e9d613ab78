"""The checks of the model's id and of the answer of one paid call: facts in, one finding out. Pure."""

from __future__ import annotations

import re

from ...errors import ConfigurationError
from ...request.models import Model, check_reachable, describe, is_plain, needs_profile, profiles_for
from ...request.models.table import row_of
from ..catalog import nearest
from .facts import Answer, Identity, Settings
from .findings import Finding, failed, ok, warning
from .refusals import Situation, fact_of, remedy_for

__all__ = ("check_answer", "check_model")

_ARN_REGION = re.compile(r"arn:[^:]+:[^:]+:([a-z0-9-]+):")


def check_model(name: str, settings: Settings) -> Finding:
    """Check an id against the capability table and the region, and name the id to use."""
    check = "model"
    try:
        model = describe(name)
        if not _is_on_mantle(model):
            check_reachable(model)
    except ConfigurationError as error:
        return failed(check, error.problem, error.remedy or _suggestion(name) or "correct the id", misuse=True)
    arn_region = _ARN_REGION.match(model.id)
    if arn_region is not None and arn_region[1] != settings.region:
        problem = f"{model.id!r} is in {arn_region[1]}, and the region is {settings.region}"
        return failed(check, problem, f"pass --region {arn_region[1]}", misuse=True)
    if model.vendor is None:
        return _unknown(model)
    row = row_of(model.base)
    if row is None or not row.known:
        doubt = f"{model.id!r} is not in the capability table"
        return warning(check, doubt, _suggestion(name) or "check the spelling; a model newer than the table works too")
    return _known(model, settings.region)


def _unknown(model: Model) -> Finding:
    if model.arn_kind is not None:
        return ok("model", f"{model.id}: an ARN that does not name its model; pass base_model in your program")
    doubt = f"{model.id!r} does not begin with a known maker"
    return warning("model", doubt, _suggestion(model.id) or "use a model id, an inference profile or an ARN")


def _known(model: Model, region: str) -> Finding:
    facts = model.facts
    fact = f"{model.id}: {facts.name}, {'native format' if facts.native else 'Converse'}"
    if _is_on_mantle(model):
        return ok("model", f"{model.id}: {facts.name}, served by bedrock-mantle with the API {facts.mantle}")
    profiles = profiles_for(model, region)
    if needs_profile(model):
        remedy = f"use {' or '.join(profiles)}" if profiles else "use an inference profile that contains it"
        return warning("model", f"{fact}; served by inference profiles alone", remedy)
    bare = describe(model.base)
    expected = {profile.partition(".")[0] for profile in profiles_for(bare, region)}
    if model.geo is not None and expected and model.geo not in {*expected, "global"}:
        known = " or ".join(profiles_for(bare, region))
        return warning("model", f"{fact}; {region} usually has no profile {model.geo}.", f"use {known}")
    kind = f"inference profile {model.geo}." if model.geo else "called in its region alone"
    return ok("model", f"{fact}, {kind}")


def _is_on_mantle(model: Model) -> bool:
    return model.facts.mantle is not None and is_plain(model)


def _suggestion(name: str) -> str:
    names = nearest(name)
    return f"similar ids begin with {', '.join(names)}; see `bedrock-stream models`" if names else ""


def check_answer(answer: Answer, name: str, identity: Identity, settings: Settings) -> Finding:
    """Check what the service has answered to one paid call."""
    check, error = "call", answer.error
    if error is not None:
        situation = Situation(name=name, region=settings.region, identity=identity, endpoint=settings.endpoint)
        misuse = isinstance(error, ConfigurationError)
        return failed(check, fact_of(error), remedy_for(error, situation), misuse=misuse)
    usage = answer.usage
    billed = "an unknown number of tokens"
    if usage is not None and usage.input_tokens is not None and usage.output_tokens is not None:
        billed = f"{usage.input_tokens} input and {usage.output_tokens} output tokens"
    times = [
        f"first event after {_seconds(answer.first_event)}",
        f"first content after {_seconds(answer.first_content)}",
        f"end after {_seconds(answer.total)}",
    ]
    return ok(check, f"{', '.join(times)}; billed: {billed}")


def _seconds(value: float | None) -> str:
    if value is None:
        return "no time: none came"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
