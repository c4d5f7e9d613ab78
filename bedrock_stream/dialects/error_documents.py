"""Error documents: what they say, in the shapes of AWS and of the gateways before it, and which documents are errors.

Sources: AWS's JSON protocols, Anthropic's and OpenAI's API references, RFC 9457 (problem details), RFC 6749 (OAuth),
and the documents of LiteLLM, FastAPI, Apigee, API Gateway, Lambda, Kong, NestJS and Cloudflare.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ServiceError, service_error
from ..errors.codes import WORDS, rank
from .decoding import decode_any

__all__ = ("describe_error", "document_error", "foreign_error", "request_id_in")

_Wire = dict[str, Any]

_DEPTH = 5  # levels in which words are searched
_ITEMS = 20  # of a list of messages
_TEXT = 1000  # characters of a document without any known member

# Members with the words of an error, the most telling first. Names are compared in lower case.
_WORDS = (
    "message",
    "errormessage",
    "error_message",
    "error_description",
    "msg",
    "detail",
    "details",
    "faultstring",
    "error",
    "errors",
    "fault",
    "title",
    "description",
    "reason",
)
_CODES = ("code", "__type", "errortype", "error_type", "errorcode", "error_code")
_NESTED = ("error", "errors", "fault", "detail", "output", "message")  # members that may hold the code

# A document with HTTP 200 is an error if it has one of these members and, beside them, only members of the second set.
# Any JSON may be a model's own answer.
_TEXT_SIGNS = ("message", "errormessage", "error_message", "detail")
_SIGNS = ("error", "errors", "fault")
_COMPANIONS = frozenset(
    {*_CODES, "type", "object", "status", "statuscode", "status_code", "title", "description", "reason", "param"}
    | {"error_description", "requestid", "request_id", "timestamp", "path", "instance", "success", "version"}
)


def describe_error(body: bytes, document: Any) -> tuple[str, str]:
    """Return the code and the words of an error's body; `document` is its JSON, None if it is not JSON.

    A body in an unknown shape is itself what the other side said.
    """
    if document is None:
        return "", body[:200].decode("utf-8", "replace")
    code, words = _code(document), _words(document)
    if not (code or words) and document not in ({}, []):
        words = body[:_TEXT].decode("utf-8", "replace")
    return code, words


def document_error(document: _Wire, *, mid_stream: bool = False) -> ServiceError | None:
    """Return the error of a document that came with HTTP 200, or None if it is an answer."""
    members = _lower(document)
    return foreign_error(document, mid_stream=mid_stream) if _is_error(members, mid_stream=mid_stream) else None


def foreign_error(document: _Wire, *, mid_stream: bool = False) -> ServiceError:
    """Return the error of a document that is known to be one, and has no HTTP status of an error."""
    code, words = _code(document), _words(document)
    inner = _lower(document).get("error")
    extra = inner if isinstance(inner, dict) else document
    status = next((int(code) for code in _codes(document) if re.fullmatch("[45][0-9][0-9]", code)), None)
    error = service_error(WORDS.get(code, code) or None, words, status, mid_stream=mid_stream, extra=extra)
    if not code and type(error) is ServiceError and (mid_stream or document.get("status") == "failed"):
        # A failure in the middle of an answer, without a word about its kind.
        error = service_error(None, words, 500, mid_stream=mid_stream, extra=extra)
    if code in WORDS:
        error.original_code = code
    error.request_id = request_id_in(document)
    return error


def request_id_in(document: Any) -> str | None:
    """Return the request id in an error's document: Anthropic's errors have it beside the error."""
    if not isinstance(document, dict):
        return None
    members = _lower(document)
    found = (members.get(name) for name in ("request_id", "requestid"))
    return next((value for value in found if isinstance(value, str) and value), None)


def _is_error(members: Mapping[str, Any], *, mid_stream: bool) -> bool:
    output = members.get("output")
    kinds = (members.get("__type"), output.get("__type") if isinstance(output, dict) else None)
    if any(isinstance(kind, str) and re.search(r"(Exception|Error|Fault)\b", kind) for kind in kinds):
        return True
    if str(members.get("status")).lower() == "failed":
        return True
    if "error" in (members.get("type"), members.get("object")) and {"error", "message"} & set(members):
        return True
    if "error" in members and members["error"] is None:  # it says that there is none
        return False
    # The documents of a stream may be pieces of text under any name, `message` included.
    texts = () if mid_stream else _TEXT_SIGNS
    signs = {name for name in texts if isinstance(members.get(name), str)}
    signs |= {name for name in _SIGNS if isinstance(members.get(name), str | dict | list) and members[name]}
    if not mid_stream and isinstance(members.get("detail"), list) and members["detail"]:
        signs.add("detail")
    others = {name for name, value in members.items() if value is not None} - signs - _COMPANIONS
    return bool(signs) and (others <= {*_TEXT_SIGNS} if signs & {*_SIGNS} else not others)


def _words(value: Any, depth: int = 0) -> str:
    """Return the words in a value: its text, or those of the members that are known to hold them."""
    if isinstance(value, str):
        return _words(_inner_document(value), depth + 1) or value
    if value is None or isinstance(value, bool) or depth >= _DEPTH:
        return ""
    if isinstance(value, list):
        items = (_words(item, depth + 1) for item in value[:_ITEMS] if isinstance(item, str | dict | list))
        return "; ".join(filter(None, items))
    if not isinstance(value, dict):
        return str(value)
    members = _lower(value)
    for name in _WORDS:
        if (words := _words(members.get(name), depth + 1)).strip():
            place = members.get("loc")  # FastAPI: the path of the member that is wrong
            return f"{'.'.join(map(str, place))}: {words}" if isinstance(place, list) and place else words
    return ""


def _inner_document(text: str) -> _Wire | None:
    """Return the document in a text: some gateways put the error of the service behind them into their own as JSON."""
    document = decode_any(text.encode("utf-8", "replace")) if text.lstrip().startswith("{") else None
    return document if isinstance(document, dict) else None


def _code(document: Any) -> str:
    """Return the code of an error: of several, the one that tells the most."""
    return min(_codes(document), key=rank, default="")


def _codes(document: Any, depth: int = 0) -> Iterator[str]:
    """Yield the codes in a document, the outermost first."""
    if isinstance(document, list):
        document = document[0] if document else None
    elif isinstance(document, str):
        document = _inner_document(document)
    if not isinstance(document, dict) or depth == _DEPTH:
        return
    members = _lower(document)
    found = [members.get(name) for name in _CODES]
    if isinstance(kind := members.get("type"), str) and kind != "error" and re.fullmatch(r"\w[\w.#-]*", kind):
        found.append(kind)  # a problem's type is a URL
    yield from (
        str(code) for code in found if isinstance(code, str | int) and not isinstance(code, bool) and code != ""
    )
    for name in _NESTED:
        yield from _codes(members.get(name), depth + 1)


def _lower(document: _Wire) -> dict[str, Any]:
    """Return the members by their names in lower case; of two, the one that has a value."""
    members: dict[str, Any] = {}
    for name, value in document.items():
        if members.get(name.lower()) in (None, ""):
            members[name.lower()] = value
    return members
