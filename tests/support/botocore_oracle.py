"""Botocore as the oracle: validates and serializes Converse requests, and parses Converse responses."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import botocore.session
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator


@cache
def _operation(name: str) -> Any:
    return botocore.session.get_session().get_service_model("bedrock-runtime").operation_model(name)


def written_by_botocore(parameters: dict[str, Any], operation: str = "Converse") -> Any:
    """Return the JSON body that botocore sends for these parameters. Asserts that its service model accepts them."""
    model = _operation(operation)
    parameters = {"modelId": "m", **parameters}
    report = ParamValidator().validate(parameters, model.input_shape)
    assert not report.has_errors(), report.generate_report()
    request = create_serializer("rest-json").serialize_to_request(parameters, model)
    return json.loads(request["body"] or "{}")


def read_by_botocore(body: bytes) -> dict[str, Any]:
    """Return a complete response as botocore parses it."""
    from botocore.parsers import create_parser

    response = {"status_code": 200, "headers": {}, "body": body}
    parsed: dict[str, Any] = create_parser("rest-json").parse(response, _operation("Converse").output_shape)
    del parsed["ResponseMetadata"]
    return parsed
