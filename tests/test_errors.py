"""Every error: exact message, attributes, pickling, and the class for each service code."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgspec
import pytest

import bedrock_stream
from bedrock_stream import Message, Response, Usage, errors
from bedrock_stream.errors import BedrockStreamError, ServiceError, service_error

Make = Callable[[], BedrockStreamError]

# At least one entry for each class: a factory, the message, the attributes.
TABLE: list[tuple[Make, str, dict[str, Any]]] = [
    (lambda: BedrockStreamError("any message"), "any message", {}),
    (
        lambda: errors.ConfigurationError("max_tokens", "expected a positive int, got 0"),
        "max_tokens: expected a positive int, got 0",
        {"argument": "max_tokens", "problem": "expected a positive int, got 0", "remedy": ""},
    ),
    (
        lambda: errors.ConfigurationError("max_token", "unknown option", "did you mean max_tokens?"),
        "max_token: unknown option; did you mean max_tokens?",
        {"argument": "max_token", "problem": "unknown option", "remedy": "did you mean max_tokens?"},
    ),
    (
        lambda: errors.MissingCredentials("credentials", "none found", "set AWS_BEARER_TOKEN_BEDROCK"),
        "credentials: none found; set AWS_BEARER_TOKEN_BEDROCK",
        {"argument": "credentials", "problem": "none found", "remedy": "set AWS_BEARER_TOKEN_BEDROCK"},
    ),
    (
        lambda: errors.MissingCredentials("credentials", "none found", "set one", "the call, and the environment"),
        "credentials: none found; set one; searched: the call, and the environment",
        {"remedy": "set one", "searched": "the call, and the environment"},
    ),
    (
        lambda: errors.UnsupportedOperation("model", "cannot count tokens"),
        "model: cannot count tokens",
        {"argument": "model", "problem": "cannot count tokens"},
    ),
    (
        lambda: errors.InvalidRequest("messages[0].role", "expected user", "send user", status=413, code="too_large"),
        "messages[0].role: expected user; send user",
        {"argument": "messages[0].role", "status": 413, "code": "too_large", "member": "messages[0].role"},
    ),
    (
        lambda: errors.CredentialsUnavailable("the instance role", "no response"),
        "the instance role: no response",
        {"source": "the instance role", "reason": "no response"},
    ),
    (
        lambda: errors.RowInvalid("prompts[3]", "expected a non-empty str, got ''"),
        "prompts[3]: expected a non-empty str, got ''",
        {"argument": "prompts[3]"},
    ),
    (lambda: errors.JournalBusy("journal", "is in use by process 7"), "journal: is in use by process 7", {}),
    (lambda: errors.JournalDamaged("journal", "line 3 is not JSON"), "journal: line 3 is not JSON", {"line": 0}),
    (lambda: errors.JournalMismatch("journal", "max_tokens differs"), "journal: max_tokens differs", {}),
    (
        lambda: errors.BatchStopped("100 rows were asked", None),
        "the batch stopped: 100 rows were asked",
        {"reason": "100 rows were asked", "progress": None},
    ),
    (lambda: errors.TransportError("the connection was lost"), "the connection was lost", {}),
    (lambda: errors.ConnectionFailed("connection refused"), "connection refused", {}),
    (lambda: errors.ClientClosed("the client was closed"), "the client was closed", {"closed": True}),
    (lambda: errors.RelayFull("10 answers"), "10 answers", {}),
    (lambda: errors.RelayUnavailable("no answer"), "no answer", {"retryable": True}),
    (lambda: errors.StreamInterrupted("closed", closed=True), "closed", {"closed": True}),
    (
        lambda: errors.TimeLimitError(1, 2),
        "time limit of 1 s reached after 2.0 s, 0 bytes received",
        {"limit": 1, "elapsed": 2, "bytes_received": 0, "clock": "time"},
    ),
    (
        lambda: errors.PoolTimeout(5.0, 5.01, detail="100 slots, all taken"),
        "pool limit of 5 s reached after 5.0 s, 0 bytes received: 100 slots, all taken",
        {"limit": 5.0, "elapsed": 5.01, "bytes_received": 0, "clock": "pool"},
    ),
    (
        lambda: errors.ConnectTimeout(10.0, 10.04),
        "connect limit of 10 s reached after 10.0 s, 0 bytes received",
        {"clock": "connect"},
    ),
    (
        lambda: errors.FirstEventTimeout(60.0, 60.26),
        "first_event limit of 60 s reached after 60.3 s, 0 bytes received",
        {"clock": "first_event"},
    ),
    (
        lambda: errors.FirstContentTimeout(0.25, 0.3, 159),
        "first_content limit of 0.25 s reached after 0.3 s, 159 bytes received",
        {"clock": "first_content", "bytes_received": 159},
    ),
    (
        lambda: errors.IdleTimeout(30.0, 30.0, 4_096),
        "idle limit of 30 s reached after 30.0 s, 4096 bytes received",
        {"clock": "idle", "bytes_received": 4_096},
    ),
    (
        lambda: errors.TotalTimeout(600.0, 600.0, 12),
        "total limit of 600 s reached after 600.0 s, 12 bytes received",
        {"clock": "total"},
    ),
    (
        lambda: errors.UnreadTimeout(600.0, 601.0, 12),
        "unread limit of 600 s reached after 601.0 s, 12 bytes received",
        {"clock": "unread"},
    ),
    (lambda: errors.InvalidFrame("no payload"), "no payload", {"offset": None}),
    (
        lambda: errors.InvalidFrame("no payload", offset=0),
        "no payload (frame at byte 0 of the stream)",
        {"offset": 0},
    ),
    (
        lambda: errors.ChecksumMismatch("prelude", 0xAB, 0xDEADBEEF),
        "prelude checksum is 0x000000ab, computed 0xdeadbeef",
        {"part": "prelude", "expected": 0xAB, "computed": 0xDEADBEEF, "offset": None},
    ),
    (
        lambda: errors.ChecksumMismatch("message", 1, 2, offset=318),
        "message checksum is 0x00000001, computed 0x00000002 (frame at byte 318 of the stream)",
        {"part": "message", "expected": 1, "computed": 2, "offset": 318},
    ),
    (
        lambda: errors.FrameSizeError("a frame declares 8 bytes; the minimum is 16", offset=16),
        "a frame declares 8 bytes; the minimum is 16 (frame at byte 16 of the stream)",
        {"offset": 16},
    ),
    (lambda: errors.InvalidHeader("header 'a' appears twice"), "header 'a' appears twice", {"offset": None}),
    (
        lambda: errors.NotAnEventStream(200, "text/html", b"<html>"),
        "expected a Bedrock response, got HTTP 200 with content type 'text/html': b'<html>'",
        {"status": 200, "content_type": "text/html", "body": b"<html>"},
    ),
    (
        lambda: errors.NotAnEventStream(502, None, b""),
        "expected a Bedrock response, got HTTP 502 with content type None: b''",
        {"status": 502, "content_type": None, "body": b""},
    ),
    (lambda: errors.StreamInterrupted("ended before messageStop"), "ended before messageStop", {}),
    (
        lambda: errors.ToolInputError("weather", "tooluse_1", '{"city": "Par', "max_tokens", Usage(output_tokens=16)),
        "input of tool call 'weather' (tooluse_1) is not a JSON object: '{\"city\": \"Par' (stop reason 'max_tokens')",
        {
            "name": "weather",
            "call_id": "tooluse_1",
            "raw": '{"city": "Par',
            "stop_reason": "max_tokens",
            "usage": Usage(output_tokens=16),
        },
    ),
    (lambda: errors.ToolRoundsExceeded(5), "the model still calls tools after 5 rounds", {"rounds": 5}),
    (
        lambda: ServiceError("NovelException", "something new", 418),
        "NovelException (HTTP 418): something new",
        {
            "code": "NovelException",
            "message": "something new",
            "status": 418,
            "mid_stream": False,
            "retryable": False,
            "original_status": None,
            "original_message": None,
            "resource_name": None,
        },
    ),
]

RETRYABLE = {
    errors.Throttled,
    errors.ModelNotReady,
    errors.ModelTimeout,
    errors.ModelStreamError,
    errors.InternalServerError,
    errors.ServiceUnavailable,
}


def descendants(base: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for cls in base.__subclasses__():
        yield cls
        yield from descendants(cls)


def make_service_error(cls: type[ServiceError]) -> Make:
    extra = {"originalStatusCode": 500, "originalMessage": "boom", "resourceName": "a-model", "more": 1}
    return lambda: cls("SomeException", "some message", 400, mid_stream=True, extra=extra)


TABLE += [
    (
        make_service_error(cls),
        "SomeException (HTTP 400): some message",
        {
            "code": "SomeException",
            "message": "some message",
            "status": 400,
            "mid_stream": True,
            "retryable": cls in RETRYABLE,
            "original_status": 500,
            "original_message": "boom",
            "resource_name": "a-model",
        },
    )
    for cls in descendants(ServiceError)
]
ids = [type(make()).__name__ for make, _, _ in TABLE]


@pytest.mark.parametrize(("make", "message", "attributes"), TABLE, ids=ids)
def test_every_error_has_this_message_and_these_attributes(
    make: Make, message: str, attributes: dict[str, Any]
) -> None:
    error = make()
    assert str(error) == message
    assert error.args == (message,)
    assert {name: getattr(error, name) for name in attributes} == attributes


@pytest.mark.parametrize(("make", "message", "_attributes"), TABLE, ids=ids)
def test_every_error_survives_pickle_and_copy_with_its_attributes(make: Make, message: str, _attributes: Any) -> None:
    error = make()
    error.request_id = "5c1d"
    error.model = "anthropic.claude-3-sonnet-20240229-v1:0"
    error.region = "us-east-1"
    error.events_received = 7
    error.partial = Response(message=Message.assistant("Hel"), text="Hel")
    error.add_note("seen in a worker")
    pickled = [pickle.loads(pickle.dumps(error, protocol)) for protocol in range(6)]  # noqa: S301  # ours
    for copied in (*pickled, copy.copy(error), copy.deepcopy(error)):
        assert type(copied) is type(error)
        assert str(copied) == message
        assert copied.args == error.args
        assert vars(copied) == vars(error)


class BrokenPipe(errors.ConnectionFailed, OSError):
    """An error of a user's program that is also an OSError."""


class Refused(errors.ServiceError, ConnectionError):
    """The same for a class with a constructor of its own."""


@pytest.mark.parametrize("error", [BrokenPipe("the pipe broke"), Refused("Code", "words", 503)], ids=repr)
def test_an_error_that_is_an_os_error_keeps_its_message(error: BedrockStreamError) -> None:
    error.model = "m"
    for copied in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301  # ours
        assert (type(copied), copied.args, vars(copied)) == (type(error), error.args, vars(error))
        assert str(copied) == str(error)


class Box(msgspec.Struct, frozen=True, kw_only=True):
    content: Any
    name: str = "box"


def nested(depth: int) -> Any:
    """Return lists, dicts, tuples and structs inside each other."""
    wraps: list[Callable[[Any], Any]] = [
        lambda value: {"a": value, "b": 1},
        lambda value: [0, value, "x"],
        lambda value: (value, None),
        lambda value: Box(content=value),
        lambda value: Usage(input_tokens=3, extra={"more": value}),
    ]
    value: Any = {}
    for level in range(depth):
        value = wraps[level % len(wraps)](value)
    return value


def levels(value: Any) -> list[str]:
    """Return the types from the outside in, without recursion."""
    found = []
    while True:
        found.append(type(value).__name__)
        match value:
            case Box():
                assert value.name == "box"
                value = value.content
            case Usage():
                assert value.input_tokens == 3
                value = value.extra["more"]
            case {"a": inner, "b": 1} | [0, inner, "x"] | (inner, None):
                value = inner
            case _:
                assert value == {}
                return found


@pytest.mark.parametrize("depth", [0, 10, 49, 50, 51, 200, 5_000, 20_000])
def test_an_error_with_a_partial_of_any_depth_survives_pickle_and_copy(depth: int) -> None:
    error = service_error("ThrottlingException", "slow", 429)
    error.partial = cast("Any", nested(depth))
    error.events_received = 7
    expected = levels(error.partial)
    copies = [pickle.loads(pickle.dumps(error, protocol)) for protocol in (0, 2, 5)]  # noqa: S301  # ours
    for copied in (*copies, copy.copy(error), copy.deepcopy(error), pickle.loads(pickle._dumps(error))):  # type: ignore[attr-defined]  # noqa: S301
        assert (type(copied), str(copied), copied.events_received) == (type(error), str(error), 7)
        assert levels(copied.partial) == expected


def test_every_error_can_be_imported_from_the_top() -> None:
    assert set(errors.__all__) - {"service_error"} <= set(bedrock_stream.__all__)


def test_the_table_contains_every_class() -> None:
    classes = [value for value in vars(errors).values() if inspect.isclass(value)]
    public = {cls.__name__ for cls in classes if issubclass(cls, BaseException)}
    assert public == set(ids)
    assert public | {"service_error"} == set(errors.__all__)


def test_the_attributes_of_the_call_are_empty_by_default() -> None:
    error = BedrockStreamError("early")
    assert (error.request_id, error.model, error.region, error.events_received, error.partial) == (None,) * 3 + (
        0,
        None,
    )


def test_every_error_has_the_documented_base_class() -> None:
    tree: dict[type[BedrockStreamError], list[type[BedrockStreamError]]] = {
        errors.ConfigurationError: [errors.MissingCredentials, errors.UnsupportedOperation],
        errors.TransportError: [errors.ConnectionFailed, errors.TimeLimitError, errors.ClientClosed],
        errors.TimeLimitError: [
            errors.ConnectTimeout,
            errors.PoolTimeout,
            errors.FirstEventTimeout,
            errors.FirstContentTimeout,
            errors.IdleTimeout,
            errors.TotalTimeout,
            errors.UnreadTimeout,
        ],
        errors.InvalidFrame: [errors.ChecksumMismatch, errors.FrameSizeError, errors.InvalidHeader],
        errors.InvalidSignature: [errors.SignatureExpired],
        errors.ValidationFailed: [errors.ContextWindowExceeded],
        BedrockStreamError: [
            errors.ConfigurationError,
            errors.CredentialsUnavailable,
            errors.TransportError,
            errors.InvalidFrame,
            errors.NotAnEventStream,
            errors.StreamInterrupted,
            errors.ToolInputError,
            errors.ToolRoundsExceeded,
            ServiceError,
        ],
    }
    builtin = {
        errors.ConfigurationError: ValueError,
        errors.ConnectionFailed: ConnectionError,
        errors.TimeLimitError: TimeoutError,
    }
    for base, subclasses in tree.items():
        for cls in subclasses:
            assert cls.__bases__ == ((base, builtin[cls]) if cls in builtin else (base,))


@pytest.mark.parametrize("make", [make for make, _, _ in TABLE], ids=ids)
def test_an_error_is_an_os_error_only_if_it_is_about_the_network(make: Make) -> None:
    error = make()
    assert isinstance(error, OSError) is isinstance(error, errors.ConnectionFailed | errors.TimeLimitError)
    if isinstance(error, OSError):
        assert (error.errno, error.strerror, error.filename) == (None, None, None)


def test_what_a_caller_changes_of_a_connection_failure_is_in_its_copies() -> None:
    error = errors.ConnectionFailed("refused")
    error.retryable, error.dropped = False, True
    error.__cause__ = ConnectionRefusedError(111, "Connection refused")
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301  # ours
    assert (str(copied), copied.retryable, copied.dropped) == ("refused", False, True)


def test_a_long_tool_input_is_truncated_in_the_message_only() -> None:
    error = errors.ToolInputError("n", "id", "x" * 10_000, None)
    assert len(str(error)) < 300
    assert len(error.raw) == 10_000


def test_a_long_body_is_truncated() -> None:
    error = errors.NotAnEventStream(200, "text/html", b"<" + b"x" * 10_000)
    assert error.body == b"<" + b"x" * 199
    assert len(str(error)) < 300


# ------------------------------------------------------------------------------------------- mapping from code to class

CODES = [
    ("AccessDeniedException", errors.AccessDenied, 403),
    ("UnrecognizedClientException", errors.AccessDenied, 403),
    ("MissingAuthenticationTokenException", errors.AccessDenied, 403),
    ("ExpiredTokenException", errors.ExpiredToken, 403),
    ("ExpiredToken", errors.ExpiredToken, 403),
    ("InvalidSignatureException", errors.InvalidSignature, 403),
    ("SignatureDoesNotMatch", errors.InvalidSignature, 403),
    ("IncompleteSignatureException", errors.InvalidSignature, 403),
    ("RequestTimeTooSkewed", errors.SignatureExpired, 403),
    ("RequestExpired", errors.SignatureExpired, 403),
    ("RequestInTheFuture", errors.SignatureExpired, 403),
    ("ValidationException", errors.ValidationFailed, 400),
    ("ConflictException", errors.ValidationFailed, 400),
    ("ResourceNotFoundException", errors.ResourceNotFound, 404),
    ("ServiceQuotaExceededException", errors.QuotaExceeded, 400),
    ("ThrottlingException", errors.Throttled, 429),
    ("TooManyRequestsException", errors.Throttled, 429),
    ("ModelNotReadyException", errors.ModelNotReady, 429),
    ("ModelTimeoutException", errors.ModelTimeout, 408),
    ("ModelErrorException", errors.ModelError, 424),
    ("ModelStreamErrorException", errors.ModelStreamError, 424),
    ("InternalServerException", errors.InternalServerError, 500),
    ("InternalFailure", errors.InternalServerError, 500),
    ("InternalError", errors.InternalServerError, 500),
    ("ServiceUnavailableException", errors.ServiceUnavailable, 503),
]


@pytest.mark.parametrize(("code", "cls", "status"), CODES, ids=[code for code, _, _ in CODES])
def test_a_code_selects_its_class_in_http_errors_and_inside_a_stream(
    code: str, cls: type[ServiceError], status: int
) -> None:
    http = service_error(code, "message", status)
    assert type(http) is cls
    assert (http.code, http.message, http.status, http.mid_stream) == (code, "message", status, False)
    frame = service_error(code[0].lower() + code[1:], "message", mid_stream=True)
    assert type(frame) is cls
    assert (frame.code, frame.message, frame.status, frame.mid_stream) == (code, "message", status, True)
    assert frame.retryable is http.retryable is (cls in RETRYABLE)


def test_the_received_status_takes_precedence_over_the_modelled_one() -> None:
    error = service_error("ThrottlingException", "slow down", 503)
    assert type(error) is errors.Throttled
    assert error.status == 503


def test_an_unknown_code_keeps_its_name_and_message() -> None:
    error = service_error("novelException", "something new", mid_stream=True)
    assert type(error) is ServiceError
    assert (error.code, error.message, error.status) == ("NovelException", "something new", 500)
    assert str(error) == "NovelException (HTTP 500): something new"


@pytest.mark.parametrize("code", ["UnknownOperationException", None, ""])
@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (400, errors.ValidationFailed),
        (401, errors.AccessDenied),
        (403, errors.AccessDenied),
        (404, errors.ResourceNotFound),
        (408, errors.ModelTimeout),
        (424, errors.ModelError),
        (429, errors.Throttled),
        (500, errors.InternalServerError),
        (502, errors.ServiceUnavailable),
        (503, errors.ServiceUnavailable),
        (504, errors.ServiceUnavailable),
        (418, ServiceError),
        (599, ServiceError),
    ],
)
def test_without_a_known_code_the_status_selects_the_class(
    code: str | None, status: int, cls: type[ServiceError]
) -> None:
    error = service_error(code, "message", status)
    assert type(error) is cls
    assert (error.code, error.status) == (code or "", status)


def test_without_code_and_status_the_error_is_a_failure_of_the_service() -> None:
    error = service_error(None, "")
    assert type(error) is ServiceError
    assert str(error) == "HTTP 500"


@pytest.mark.parametrize("code", ["", "ThrottlingException", "503"])
@pytest.mark.parametrize("message", ["", " ", "\n"])
def test_an_empty_message_leaves_no_colon(code: str, message: str) -> None:
    assert not str(service_error(code, message, 503)).rstrip().endswith(":")
    assert str(errors.CredentialsUnavailable("the instance role", message)) == "the instance role"


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        ("THROTTLINGEXCEPTION", errors.Throttled),
        ("com.amazonaws.bedrock#throttlingException", errors.Throttled),
        ("com.amazonaws.bedrock.ThrottlingException", errors.Throttled),
        ("com.amazon.coral.availability#ThrottlingException:http://internal.amazon.com/", errors.Throttled),
        ("ThrottlingException,ValidationException", errors.Throttled),
        ("429", errors.Throttled),
        (" 503 ", errors.ServiceUnavailable),
        ("42", ServiceError),
        ("\u0664\u0662\u0669", ServiceError),
    ],
)
def test_a_code_is_read_in_any_form(code: str, cls: type[ServiceError]) -> None:
    assert type(service_error(code, "m", mid_stream=True)) is cls


def test_a_numeric_code_gives_way_to_the_http_status() -> None:
    error = service_error("429", "m", 400)
    assert (type(error), error.status) == (errors.ValidationFailed, 400)


@pytest.mark.parametrize(
    "message",
    [
        "Input is too long for requested model.",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
        "Too many total text bytes: 30000000 > 25000000",
        "The model returned the following errors: prompt is too long: 210000 tokens > 200000 maximum",
        "prompt tokens (140000) exceed model maximum (131072)",
        'Mantle streaming error for requestId 1: "This model\'s maximum context length is 131072 tokens."',
        "Error code: context_length_exceeded",
    ],
)
def test_context_overflow_is_detected_by_its_message(message: str) -> None:
    for error in (
        service_error("ValidationException", message, 400),
        service_error("validationException", message, mid_stream=True),
        service_error(None, message, 400),
        service_error("validation_error", message, 400),
        service_error("validation_error", message, mid_stream=True),
    ):
        assert type(error) is errors.ContextWindowExceeded
        assert error.status == 400
        assert error.message == message
        assert not error.retryable


@pytest.mark.parametrize("status", [400, None])
def test_context_overflow_is_detected_by_its_code(status: int | None) -> None:
    error = service_error("context_length_exceeded", "Reduce the length of the messages.", status)
    assert type(error) is errors.ContextWindowExceeded
    assert error.status == 400


@pytest.mark.parametrize(
    "message",
    [
        "Signature expired: 20250130T203827Z is now earlier than 20250130T204131Z (20250130T204631Z - 5 min.)",
        "Signature not yet current: 20250130T205300Z is still later than 20250130T205131Z (20250130T204631Z + 5 min.)",
    ],
)
@pytest.mark.parametrize("code", ["InvalidSignatureException", "SignatureDoesNotMatch"])
def test_clock_skew_is_detected_by_its_message(code: str, message: str) -> None:
    error = service_error(code, message, 403)
    assert type(error) is errors.SignatureExpired
    assert error.code == code


@pytest.mark.parametrize(
    ("code", "message", "cls"),
    [
        ("ThrottlingException", "Too many tokens, please wait before trying again.", errors.Throttled),
        ("throttlingException", "Input is too long for requested model.", errors.Throttled),
        ("AccessDeniedException", "Signature expired: never mind", errors.AccessDenied),
        ("InvalidSignatureException", "The request signature we calculated does not match.", errors.InvalidSignature),
        ("ValidationException", "The provided model identifier is invalid.", errors.ValidationFailed),
        ("ValidationException", "max_tokens (9) exceed model maximum (8)", errors.ValidationFailed),
        ("surprise", "The model is gone.", errors.ServiceError),
    ],
)
def test_the_message_does_not_change_the_class_of_other_codes(code: str, message: str, cls: type[ServiceError]) -> None:
    assert type(service_error(code, message)) is cls


def test_extra_members_of_the_error_body_are_attributes() -> None:
    error = service_error(
        "modelStreamErrorException",
        "the model failed",
        mid_stream=True,
        extra={"message": "the model failed", "originalStatusCode": 503, "originalMessage": "overloaded"},
    )
    assert (error.original_status, error.original_message, error.resource_name) == (503, "overloaded", None)
