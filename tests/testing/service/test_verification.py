"""Who gets in, and in which words the others are refused."""

from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bedrock_stream.auth.sigv4 import canonical_request, hash_payload, signing_key, string_to_sign
from bedrock_stream.testing import ACCESS_KEY_ID, API_KEY, SECRET_ACCESS_KEY, Emulator, Keys
from tests.support.emulator_client import HELLO, RawAnswer, post, send, signed, target, written

PATH = target()
BODY = json.dumps(HELLO).encode()
NOON = datetime(2025, 7, 1, 12, tzinfo=UTC)
OLD_SCOPE = f"{ACCESS_KEY_ID}/20250102/us-east-1/bedrock/aws4_request"
MISMATCH = "The request signature we calculated does not match the signature you provided."


async def answered(emulator: Emulator, headers: dict[str, str], body: bytes = BODY, path: str = PATH) -> RawAnswer:
    return await send(emulator, written(path, headers, body))


async def refused(headers_of: Any, body: bytes = BODY, **options: Any) -> tuple[int, str | None, str]:
    """Send a request with the headers that `headers_of(emulator)` gives; status, error type and message."""
    async with Emulator(**options) as emulator:
        status, code, document = (await answered(emulator, headers_of(emulator), body)).error
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
async def test_a_signature_by_others_is_refused(options: dict[str, Any], code: str, message: str) -> None:
    status, named, said = await refused(lambda emulator: signed(emulator, PATH, BODY, **options))
    assert (status, named) == (403, code)
    assert said.startswith(message)


async def test_an_altered_body_is_refused() -> None:
    status, code, message = await refused(lambda emulator: signed(emulator, PATH, BODY), BODY + b" ")
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
async def test_a_date_too_far_off_is_refused(skew: timedelta, message: str) -> None:
    assert await refused(lambda emulator: signed(emulator, PATH, BODY, now=NOON), clock=lambda: NOON + skew) == (
        403,
        "InvalidSignatureException",
        message,
    )


@pytest.mark.parametrize("seconds", [-300, -1, 0, 299, 300])
async def test_five_minutes_are_near_enough(seconds: int) -> None:
    async with Emulator(clock=lambda: NOON + timedelta(seconds=seconds)) as emulator:
        assert (await answered(emulator, signed(emulator, PATH, BODY, now=NOON))).status == 200


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
async def test_a_header_that_says_too_little(authorization: str | None, code: str, message: str) -> None:
    def headers(emulator: Emulator) -> dict[str, str]:
        bare = without(signed(emulator, PATH, BODY), "Authorization")
        return bare if authorization is None else {**bare, "Authorization": authorization}

    status, named, said = await refused(headers)
    assert (status, named) == (403, code)
    assert message in said


@pytest.mark.parametrize("date", ["", "yesterday"])
async def test_a_date_that_is_none(date: str) -> None:
    def headers(emulator: Emulator) -> dict[str, str]:
        authorization = (
            f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/{date[:8]}/us-east-1/bedrock/aws4_request, "
            "SignedHeaders=host;x-amz-date, Signature=0"
        )
        return {**signed(emulator, PATH, BODY), "X-Amz-Date": date, "Authorization": authorization}

    assert (await refused(headers))[1] == "IncompleteSignatureException"


async def test_every_header_of_aws_must_be_signed_but_tracing() -> None:
    status, code, message = await refused(lambda emulator: {**signed(emulator, PATH, BODY), "X-Amz-Extra": "1"})
    assert (status, code) == (403, "InvalidSignatureException")
    assert message == "There were headers present in the request which were not signed: x-amz-extra"
    async with Emulator() as emulator:
        headers = {**signed(emulator, PATH, BODY), "X-Amzn-Trace-Id": "Root=1", "amz-sdk-request": "attempt=1"}
        assert (await answered(emulator, headers)).status == 200


@pytest.mark.parametrize(
    ("names", "message"),
    [("x-amz-date", "'Host' or ':authority' must be"), ("x-amz-date;host", "'SignedHeaders' must be lower-case")],
)
async def test_the_list_of_signed_headers_is_checked(names: str, message: str) -> None:
    def headers(emulator: Emulator) -> dict[str, str]:
        right = signed(emulator, PATH, BODY)
        start, _, end = right["Authorization"].partition("content-type;host;x-amz-date")
        return {**right, "Authorization": start + names + end}

    assert message in (await refused(headers))[2]


async def test_a_signed_header_must_not_change() -> None:
    message = (await refused(lambda emulator: {**signed(emulator, PATH, BODY), "content-type": "text/plain"}))[2]
    assert message.startswith(MISMATCH)


async def test_another_path_is_another_signature() -> None:
    async with Emulator() as emulator:
        headers = signed(emulator, PATH, BODY)
        for other in (PATH.replace("%3A", ":"), target("converse"), PATH + "?x=1"):
            assert (await answered(emulator, headers, path=other)).error[1] == "InvalidSignatureException"


async def test_a_path_with_a_bare_colon_is_signed_as_it_is_sent() -> None:
    path = PATH.replace("%3A", ":")
    async with Emulator() as emulator:
        assert (await answered(emulator, signed(emulator, path, BODY), path=path)).status == 200


async def test_the_session_token_is_signed_and_must_be_the_right_one() -> None:
    keys = Keys(ACCESS_KEY_ID, SECRET_ACCESS_KEY, "token==")
    async with Emulator(credentials=keys) as emulator:
        assert (await answered(emulator, signed(emulator, PATH, BODY, keys=keys))).status == 200
        assert (await post(emulator)).error[1] == "UnrecognizedClientException"


async def test_a_declared_hash_must_be_the_bodys() -> None:
    async with Emulator() as emulator:
        for digest, status in ((hash_payload(BODY), 200), (hash_payload(b""), 403), ("UNSIGNED-PAYLOAD", 403)):
            headers = [("X-Amz-Content-SHA256", digest)]
            assert (await answered(emulator, signed(emulator, PATH, BODY, headers=headers))).status == status


async def test_headers_that_our_signer_leaves_out_verify_where_others_sign_them() -> None:
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
        assert (await answered(emulator, {**fields, "Authorization": authorization})).status == 200


async def test_the_bearer_key() -> None:
    async with Emulator() as emulator:
        host = emulator.url.removeprefix("http://")
        assert (await answered(emulator, {"Host": host, "Authorization": f"Bearer {API_KEY}"})).status == 200
        assert emulator.requests[0].auth == "bearer"
        wrong = await answered(emulator, {"Host": host, "Authorization": "Bearer other"})
        assert wrong.error == (
            403,
            None,
            {"Message": "Authentication failed: Please make sure your API Key is valid."},
        )


async def test_a_way_in_can_be_closed() -> None:
    async with Emulator(api_key=None, credentials=None) as emulator:
        host = emulator.url.removeprefix("http://")
        assert (await answered(emulator, {"Host": host, "Authorization": f"Bearer {API_KEY}"})).status == 403
        assert (await post(emulator)).error[1] == "UnrecognizedClientException"


def test_secrets_do_not_show() -> None:
    assert "hidden" not in repr(Keys("AKID", "hidden", "hidden"))
