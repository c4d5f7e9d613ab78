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


def blobs_and_documents(name: str) -> tuple[set[str], set[str], set[str]]:
    """Return the names of an operation's members, input and output: those of data, of documents, and all others."""
    blobs: set[str] = set()
    documents: set[str] = set()
    others: set[str] = set()

    def visit(shape: Any, seen: tuple[str, ...]) -> None:
        for member, inner in getattr(shape, "members", {}).items():
            kind = documents if getattr(inner, "is_document_type", False) else others
            (blobs if inner.type_name == "blob" else kind).add(member)
        inside = [*getattr(shape, "members", {}).values()]
        inside += [
            getattr(shape, part)
            for part in ("member", "value")
            if shape.type_name in ("list", "map") and hasattr(shape, part)
        ]
        for inner in inside:
            if inner.name not in seen:
                visit(inner, (*seen, inner.name))

    model = _operation(name)
    visit(model.input_shape, ())
    visit(model.output_shape, ())
    return blobs, documents, others
