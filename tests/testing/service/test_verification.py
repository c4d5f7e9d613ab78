"""Authentication by signature and bearer key, and AWS's messages for refused requests."""

from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bedrock_stream.auth.sigv4 import canonical_request, hash_payload, signing_key, string_to_sign
from bedrock_stream.testing import ACCESS_KEY_ID, API_KEY, SECRET_ACCESS_KEY, Emulator, Keys
from tests.support.emulator_client import HELLO, RawResponse, post, request_bytes, send, signed_headers, target

PATH = target()
BODY = json.dumps(HELLO).encode()
NOON = datetime(2025, 7, 1, 12, tzinfo=UTC)
OLD_SCOPE = f"{ACCESS_KEY_ID}/20250102/us-east-1/bedrock/aws4_request"
MISMATCH = "The request signature we calculated does not match the signature you provided."


async def send_with(emulator: Emulator, headers: dict[str, str], body: bytes = BODY, path: str = PATH) -> RawResponse:
    return await send(emulator, request_bytes(path, headers, body))


async def refusal(headers_of: Any, body: bytes = BODY, **options: Any) -> tuple[int, str | None, str]:
    """Send a request with the headers `headers_of(emulator)`. Return status, error type and message."""
    async with Emulator(**options) as emulator:
        status, code, document = (await send_with(emulator, headers_of(emulator), body)).error
        assert emulator.requests[0].auth is None
        return status, code, document["message"]


def without(headers: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != name}


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"keys": Keys("AKIDOTHER", SECRET_ACCESS_KEY)}, "UnrecognizedClientException", "The security token included"),
        ({"keys": Keys(ACCESS_KEY_ID, "wrong")}, "InvalidSignatureException", MISMATCH),
        ({"keys": Keys(ACCESS_KEY_ID, SECRET_ACCESS_KEY, "t")}, "UnrecognizedClientException", "The security token"),
        ({"region": "eu-west-1"}, "InvalidSignatureException", "Credential should be scoped to a valid region"),
        ({"service": "s3"}, "InvalidSignatureException", "Credential should be scoped to correct service: 'bedrock'"),
    ],
)
async def test_other_credentials_and_scopes_are_refused(options: dict[str, Any], code: str, message: str) -> None:
    status, error_type, text = await refusal(lambda emulator: signed_headers(emulator, PATH, BODY, **options))
    assert (status, error_type) == (403, code)
    assert text.startswith(message)


async def test_an_altered_body_is_refused() -> None:
    status, code, message = await refusal(lambda emulator: signed_headers(emulator, PATH, BODY), BODY + b" ")
    assert (status, code) == (403, "InvalidSignatureException")
    assert message.startswith(MISMATCH)


@pytest.mark.parametrize(
    ("skew", "message"),
    [
        (
            timedelta(minutes=6),
            "Signature expired: 20250701T120000Z is now earlier than 20250701T120100Z (20250701T120600Z - 5 min.)",
        ),
        (
            timedelta(minutes=-6),
            (
                "Signature not yet current: 20250701T120000Z is still later than 20250701T115900Z "
                "(20250701T115400Z + 5 min.)"
            ),
        ),
    ],
)
async def test_a_date_off_by_more_than_five_minutes_is_refused(skew: timedelta, message: str) -> None:
    assert await refusal(
        lambda emulator: signed_headers(emulator, PATH, BODY, now=NOON), clock=lambda: NOON + skew
    ) == (
        403,
        "InvalidSignatureException",
        message,
    )


@pytest.mark.parametrize("seconds", [-300, -1, 0, 299, 300])
async def test_a_date_off_by_up_to_five_minutes_is_accepted(seconds: int) -> None:
    async with Emulator(clock=lambda: NOON + timedelta(seconds=seconds)) as emulator:
        assert (await send_with(emulator, signed_headers(emulator, PATH, BODY, now=NOON))).status == 200


@pytest.mark.parametrize(
    ("authorization", "code", "message"),
    [
        (None, "MissingAuthenticationTokenException", "Missing Authentication Token"),
        ("Basic eDp5", "IncompleteSignatureException", "Unsupported Authorization header"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request", "IncompleteSignatureException", "requires 'Signature'"),
        (
            "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=0",
            "IncompleteSignatureException",
            "5 slash-delimited",
        ),
        (
            f"AWS4-HMAC-SHA256 Credential={OLD_SCOPE}, SignedHeaders=host;x-amz-date, Signature=0",
            "InvalidSignatureException",
            "Date in Credential scope does not match",
        ),
    ],
)
async def test_an_incomplete_authorization_header_is_refused(
    authorization: str | None, code: str, message: str
) -> None:
    def headers(emulator: Emulator) -> dict[str, str]:
        bare = without(signed_headers(emulator, PATH, BODY), "Authorization")
        return bare if authorization is None else {**bare, "Authorization": authorization}

    status, error_type, text = await refusal(headers)
    assert (status, error_type) == (403, code)
    assert message in text


@pytest.mark.parametrize("date", ["", "yesterday"])
async def test_an_invalid_date_is_refused(date: str) -> None:
    def headers(emulator: Emulator) -> dict[str, str]:
        authorization = (
            f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/{date[:8]}/us-east-1/bedrock/aws4_request, "
            "SignedHeaders=host;x-amz-date, Signature=0"
        )
        return {**signed_headers(emulator, PATH, BODY), "X-Amz-Date": date, "Authorization": authorization}

    assert (await refusal(headers))[1] == "IncompleteSignatureException"


async def test_every_amz_header_except_tracing_must_be_signed() -> None:
    status, code, message = await refusal(lambda emulator: {**signed_headers(emulator, PATH, BODY), "X-Amz-Extra": "1"})
    assert (status, code) == (403, "InvalidSignatureException")
    assert message == "There were headers present in the request which were not signed: x-amz-extra"
    async with Emulator() as emulator:
        headers = {**signed_headers(emulator, PATH, BODY), "X-Amzn-Trace-Id": "Root=1", "amz-sdk-request": "attempt=1"}
        assert (await send_with(emulator, headers)).status == 200


@pytest.mark.parametrize(
    ("names", "message"),
    [("x-amz-date", "'Host' or ':authority' must be"), ("x-amz-date;host", "'SignedHeaders' must be lower-case")],
)
async def test_the_list_of_signed_headers_is_checked(names: str, message: str) -> None:
    def headers(emulator: Emulator) -> dict[str, str]:
        valid = signed_headers(emulator, PATH, BODY)
        start, _, end = valid["Authorization"].partition("content-type;host;x-amz-date")
        return {**valid, "Authorization": start + names + end}

    assert message in (await refusal(headers))[2]


async def test_a_signed_header_must_not_change() -> None:
    message = (await refusal(lambda emulator: {**signed_headers(emulator, PATH, BODY), "content-type": "text/plain"}))[
        2
    ]
    assert message.startswith(MISMATCH)


async def test_a_signature_is_not_valid_for_another_path() -> None:
    async with Emulator() as emulator:
        headers = signed_headers(emulator, PATH, BODY)
        for other in (PATH.replace("%3A", ":"), target("converse"), PATH + "?x=1"):
            assert (await send_with(emulator, headers, path=other)).error[1] == "InvalidSignatureException"


async def test_a_path_with_an_unescaped_colon_is_signed_as_sent() -> None:
    path = PATH.replace("%3A", ":")
    async with Emulator() as emulator:
        assert (await send_with(emulator, signed_headers(emulator, path, BODY), path=path)).status == 200


async def test_the_session_token_is_signed_and_must_match() -> None:
    keys = Keys(ACCESS_KEY_ID, SECRET_ACCESS_KEY, "token==")
    async with Emulator(credentials=keys) as emulator:
        assert (await send_with(emulator, signed_headers(emulator, PATH, BODY, keys=keys))).status == 200
        assert (await post(emulator)).error[1] == "UnrecognizedClientException"


async def test_a_content_hash_header_must_match_the_body() -> None:
    async with Emulator() as emulator:
        for digest, status in ((hash_payload(BODY), 200), (hash_payload(b""), 403), ("UNSIGNED-PAYLOAD", 403)):
            headers = [("X-Amz-Content-SHA256", digest)]
            assert (await send_with(emulator, signed_headers(emulator, PATH, BODY, headers=headers))).status == status


async def test_signed_headers_that_the_library_never_signs_are_verified() -> None:
    async with Emulator(clock=lambda: NOON) as emulator:
        fields = {
            "Accept-Encoding": "gzip,  br",
            "Host": emulator.url.removeprefix("http://"),
            "User-Agent": "x",
            "X-Amz-Date": "20250701T120000Z",
        }
        names = ";".join(name.lower() for name in fields)
        block = "".join(f"{name.lower()}:{' '.join(value.split())}\n" for name, value in fields.items())
        path = PATH.replace("%", "%25")
        canonical = f"POST\n{path}\n\n{block}\n{names}\n{hash_payload(BODY)}"
        assert canonical_request("POST", PATH, [("host", "")], "").startswith(f"POST\n{path}\n\n")
        text = string_to_sign(canonical, now=NOON, region="us-east-1")
        signature = hmac.digest(signing_key(SECRET_ACCESS_KEY, "20250701", "us-east-1"), text.encode(), "sha256").hex()
        credential = f"{ACCESS_KEY_ID}/20250701/us-east-1/bedrock/aws4_request"
        authorization = f"AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={names},Signature={signature}"
        assert (await send_with(emulator, {**fields, "Authorization": authorization})).status == 200


@pytest.mark.parametrize("names", ["accept;x-amz-date", ":authority;host;x-amz-date", ":authority;x-amz-date"])
async def test_a_client_of_http_2_signs_the_host_by_its_name_there(names: str) -> None:
    async with Emulator(clock=lambda: NOON) as emulator:
        host = emulator.url.removeprefix("http://")
        fields = {"accept": "x", ":authority": host, "host": host, "x-amz-date": "20250701T120000Z"}
        signed = [(name, fields[name]) for name in names.split(";")]
        canonical = canonical_request("POST", emulator.url + PATH, signed, hash_payload(BODY))
        text = string_to_sign(canonical, now=NOON, region="us-east-1")
        signature = hmac.digest(signing_key(SECRET_ACCESS_KEY, "20250701", "us-east-1"), text.encode(), "sha256").hex()
        credential = f"{ACCESS_KEY_ID}/20250701/us-east-1/bedrock/aws4_request"
        authorization = f"AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={names},Signature={signature}"
        sent = {**without(fields, ":authority"), "Authorization": authorization}
        assert (await send_with(emulator, sent)).status == (403 if names.startswith("accept") else 200)


async def test_the_bearer_key() -> None:
    async with Emulator() as emulator:
        host = emulator.url.removeprefix("http://")
        assert (await send_with(emulator, {"Host": host, "Authorization": f"Bearer {API_KEY}"})).status == 200
        assert emulator.requests[0].auth == "bearer"
        wrong = await send_with(emulator, {"Host": host, "Authorization": "Bearer other"})
        assert wrong.error == (
            403,
            None,
            {"Message": "Authentication failed: Please make sure your API Key is valid."},
        )


async def test_each_kind_of_authentication_can_be_disabled() -> None:
    async with Emulator(api_key=None, credentials=None) as emulator:
        host = emulator.url.removeprefix("http://")
        assert (await send_with(emulator, {"Host": host, "Authorization": f"Bearer {API_KEY}"})).status == 403
        assert (await post(emulator)).error[1] == "UnrecognizedClientException"


def test_secrets_are_not_in_the_repr() -> None:
    assert "hidden" not in repr(Keys("AKID", "hidden", "hidden"))
