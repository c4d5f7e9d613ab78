"""Judge the failures of services that return credentials: which ones are asked again, and in what words they failed.

As in the AWS SDKs, every status other than 200 is asked again, three times in all, except for a clear refusal: a 4xx
status with a code of the service's own. Words of a service are shown without what may be a secret.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

import msgspec

from ..errors import CredentialsUnavailable
from .responses import ERROR_CODE, redact

__all__ = ("ATTEMPTS", "failure_words", "is_outage", "outage", "retry_pause")

ATTEMPTS = 3
"""How often a service is asked at most."""

_PAUSE = 0.1  # seconds before the first retry at most; doubled for the next
_MAX_WORDS = 200
_BUSY = frozenset({408, 425, 429})
# Codes of a 4xx status that mean a passing failure; IDPCommunicationError: STS could not reach the identity provider.
_PASSING = re.compile(
    "throttl|toomanyrequests|requestlimit|slowdown|bandwidthlimit|timeout|idpcommunication", re.IGNORECASE
)
# A code in a text that is not JSON, as EKS Pod Identity writes it.
_CODE_IN_TEXT = re.compile(r"\b[A-Z][A-Za-z]{2,60}Exception\b")
_HOLDS_CREDENTIALS = re.compile("SecretAccessKey|SessionToken|AccessKeyId", re.IGNORECASE)
# Keys, tokens and signatures: a long run of characters of Base64 or of a URL that no word, path or id consists of.
_RUN = re.compile(r"[A-Za-z0-9+/=_.~%-]{16,}")
_TAG = re.compile("<[^<>]*>")


def outage(source: str, reason: str) -> CredentialsUnavailable:
    """Return the error for a failure that may pass."""
    error = CredentialsUnavailable(source, reason)
    error.retryable = True
    return error


def retry_pause(retries: int) -> float:
    """Return the seconds to wait before a retry that follows this many, with jitter."""
    return _PAUSE * 2.0**retries * (0.5 + random.random() / 2)  # noqa: S311 - not for cryptography


def is_outage(status: int, code: str) -> bool:
    """Return whether a response other than 200 is asked again: all but a 4xx status with a refusal's code."""
    return not 400 <= status < 500 or status in _BUSY or not code or _PASSING.search(code) is not None


def failure_words(body: bytes, secrets: Iterable[str]) -> tuple[str, str]:
    """Return the code and the words of a response that is not XML; both may be empty.

    `secrets` were sent in the request. What looks like another secret is left out, too.
    """
    text = body.decode("utf-8", "replace")
    secrets = tuple(secrets)
    document = _decode(body)
    if isinstance(document, dict):
        members = _members(document)
        members = _members(members.get("error")) or members
        code = next((text for text in map(members.get, ("code", "__type")) if isinstance(text, str)), "")
        code = code.rpartition("#")[2]
        code = code if ERROR_CODE.fullmatch(code) else ""
        texts = map(members.get, ("message", "errormessage", "error_description", "detail", "error"))
        words = next((text for text in texts if isinstance(text, str) and text.strip()), "")
        words = ": ".join(part for part in (code, words) if part)
    elif _HOLDS_CREDENTIALS.search(text):
        return "", ""
    else:
        words = document if isinstance(document, str) else _TAG.sub(" ", text)
        found = _CODE_IN_TEXT.search(words)
        code = found[0] if found else ""
    return code, _clean(words, secrets)


def _clean(text: str, secrets: tuple[str, ...]) -> str:
    """Return the beginning of a text in one line, without secrets."""
    words = _RUN.sub(_hide, redact(text, secrets, None))
    words = " ".join("".join(each if each.isprintable() else " " for each in words).split())
    return words if len(words) <= _MAX_WORDS else f"{words[:_MAX_WORDS]}..."


def _hide(run: re.Match[str]) -> str:
    text = run[0]
    kinds = (any(map(str.isupper, text)), any(map(str.islower, text)), any(map(str.isdigit, text)))
    return "..." if all(kinds) or set(text) & set("+=%") else text


def _decode(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None


def _members(document: object) -> dict[str, object]:
    """Return the members of an object, whose names are compared without regard to case; none of anything else."""
    return {name.lower(): value for name, value in document.items()} if isinstance(document, dict) else {}
