"""Signature Version 4: known answers, each stage line by line, and botocore's signer as the oracle."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple
from unittest import mock
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, HTTPHeaders
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bedrock_stream.auth.sigv4 import canonical_request, hash_payload, sign, signing_key, string_to_sign


@dataclass(frozen=True)
class Keys:
    access_key_id: str = "AKIDEXAMPLE"
    secret_access_key: str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    session_token: str | None = None


NOW = datetime(2025, 7, 1, 12, tzinfo=UTC)
REGION = "us-east-1"
HOST = "bedrock-runtime.us-east-1.amazonaws.com"
SONNET = f"https://{HOST}/model/anthropic.claude-3-sonnet-20240229-v1%3A0"
HELLO = b'{"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}'
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
JSON = ("Content-Type", "application/json")

Pairs = Sequence[tuple[str, str]]


def signed(
    url: str = f"{SONNET}/converse", headers: Pairs = (), body: bytes = b"", **options: object
) -> dict[str, str]:
    arguments: dict[str, object] = {"credentials": Keys(), "region": REGION, "now": NOW} | options
    return sign("POST", url, headers, body, **arguments)  # type: ignore[arg-type]  # any option may be passed


def signature(added: dict[str, str]) -> str:
    return added["Authorization"].rpartition("Signature=")[2]


def signed_names(added: dict[str, str]) -> str:
    return added["Authorization"].partition("SignedHeaders=")[2].partition(",")[0]


def canonical_lines(url: str, headers: Pairs = (("Host", "h"),), method: str = "POST") -> list[str]:
    return canonical_request(method, url, headers, EMPTY).split("\n")


def canonical_path(path: str) -> str:
    return canonical_lines(f"https://h{path}")[1]


def canonical_query(query: str) -> str:
    return canonical_lines(f"https://h/?{query}")[2]


def canonical_headers(*headers: tuple[str, str]) -> list[str]:
    lines = canonical_lines("https://h/", [("Host", "h"), *headers])[3:]
    return lines[: lines.index("")]


# ------------------------------------------------------------------------------------------------------- known answers


class Vector(NamedTuple):
    url: str
    headers: Pairs
    body: bytes
    token: str | None
    names: str
    canonical: str | None
    signature: str


PLAIN_NAMES = "content-type;host;x-amz-date"
VECTORS = {
    "converse": Vector(
        f"{SONNET}/converse",
        [JSON],
        HELLO,
        None,
        PLAIN_NAMES,
        "7e4f55ac1a8558482c60c228bc70ed2a3c15e46c471b76800aacb079bd896878",
        "dd37b092380065fd50bf23f42c9451afd04a8897420c5027122c868d45fa1504",
    ),
    "session token": Vector(
        f"{SONNET}/converse-stream",
        [JSON],
        HELLO[:-1] + b', "inferenceConfig": {"maxTokens": 16}}',
        "FwoTOKEN==",
        "content-type;host;x-amz-date;x-amz-security-token",
        "2ceedc50565eda702bac0e8c88095164a59ca61cafa1e18b89648dd9b1af6306",
        "2d0724271fb402f4fa8a4ff6fd19a7fcfe1953b3d8489cfe98b4f75ec98235b3",
    ),
    "inference profile ARN": Vector(
        f"https://{HOST}/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2F"
        "us.anthropic.claude-sonnet-4-20250514-v1%3A0/converse-stream",
        [JSON],
        HELLO,
        None,
        PLAIN_NAMES,
        "b8e756fd39b70c8fd351b75ceb435c3039fa7ba03387f8294cbe4410be4a672f",
        "38a360f52f03d290e0cc48819f468ac332870151c9d76d438c321de51c5b7a77",
    ),
    "no content type": Vector(
        f"{SONNET}/invoke",
        [],
        b'{"a":1}',
        None,
        "host;x-amz-date",
        "dfc79c8c9367b16e0412c34d86b4625210464bdb368c663fbdd0ee2d3438efb0",
        "9dbf12387ceccf0455a75994535b1cf8c352789c980bddbebfa6da18ea7d9211",
    ),
    "invoke with response stream": Vector(
        f"{SONNET}/invoke-with-response-stream",
        [JSON, ("X-Amzn-Bedrock-Accept", "application/json")],
        b'{"a":1}',
        None,
        "content-type;host;x-amz-date;x-amzn-bedrock-accept",
        "a2f96a67dd48fe4e5555e6faf74d1c5c7a8d92e26e9fee1b33f4d74deda58149",
        "9cd473a56a8b3e69af000c6a2f57664053bb24fa8fec3a6015399c27a680c4ed",
    ),
    "count tokens of a conversation": Vector(
        f"{SONNET}/count-tokens",
        [JSON],
        b'{"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}}}',
        None,
        PLAIN_NAMES,
        None,
        "bf9631dbca83556793d7a405f57c40e5fe943f07da1bd9de37a9fa1db7ca88b4",
    ),
    "count tokens of a native body": Vector(
        f"{SONNET}/count-tokens",
        [JSON],
        b'{"input": {"invokeModel": {"body": "eyJhIjoxfQ=="}}}',
        None,
        PLAIN_NAMES,
        None,
        "1214fe4fe4853cd1a46ebfc8fb104c57bbb9d50564084c88b6c9872a090b9517",
    ),
    "base path on a port": Vector(
        "http://127.0.0.1:8080/base/model/anthropic.claude-3-sonnet-20240229-v1%3A0/converse",
        [JSON],
        HELLO,
        None,
        PLAIN_NAMES,
        None,
        "01d4819912cd2e5e0b26f85c49b68dedc0c98ebb22e1d0fd258343271c27cfc1",
    ),
    "all headers of invoke": Vector(
        f"{SONNET}/invoke",
        [
            ("Accept", "application/json"),
            JSON,
            ("X-Amzn-Bedrock-GuardrailIdentifier", "gr"),
            ("X-Amzn-Bedrock-GuardrailVersion", "1"),
            ("X-Amzn-Bedrock-PerformanceConfig-Latency", "optimized"),
            ("X-Amzn-Bedrock-Service-Tier", "flex"),
            ("X-Amzn-Bedrock-Trace", "ENABLED"),
        ],
        b'{"a":1}',
        None,
        "accept;content-type;host;x-amz-date;x-amzn-bedrock-guardrailidentifier;x-amzn-bedrock-guardrailversion;"
        "x-amzn-bedrock-performanceconfig-latency;x-amzn-bedrock-service-tier;x-amzn-bedrock-trace",
        None,
        "e92263a9c2327586789ba92490082e2feb2779bc42a7fb60fc47b68391e532d5",
    ),
}


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)
def test_known_requests_have_their_known_signatures(vector: Vector) -> None:
    added = signed(vector.url, vector.headers, vector.body, credentials=Keys(session_token=vector.token))
    assert added["X-Amz-Date"] == "20250701T120000Z"
    assert added.get("X-Amz-Security-Token") == vector.token
    assert added["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20250701/us-east-1/bedrock/aws4_request, "
        f"SignedHeaders={vector.names}, Signature={vector.signature}"
    )


@pytest.mark.parametrize(
    "vector", [vector for vector in VECTORS.values() if vector.canonical], ids=[n for n, v in VECTORS.items() if v[5]]
)
def test_known_requests_have_their_known_canonical_form(vector: Vector) -> None:
    headers = [*vector.headers, ("Host", HOST), ("X-Amz-Date", "20250701T120000Z")]
    if vector.token:
        headers.append(("X-Amz-Security-Token", vector.token))
    canonical = canonical_request("POST", vector.url, headers, hash_payload(vector.body))
    assert hashlib.sha256(canonical.encode()).hexdigest() == vector.canonical


# ------------------------------------------------------------------------------------------------ stages, line by line


def test_the_canonical_request_is_these_lines() -> None:
    headers = [("X-Amz-Date", "20250701T120000Z"), ("Host", HOST), JSON]
    assert canonical_lines(f"{SONNET}/converse", headers)[:-1] == [
        "POST",
        "/model/anthropic.claude-3-sonnet-20240229-v1%253A0/converse",
        "",
        "content-type:application/json",
        f"host:{HOST}",
        "x-amz-date:20250701T120000Z",
        "",
        "content-type;host;x-amz-date",
    ]
    assert canonical_lines(f"{SONNET}/converse", headers)[-1] == EMPTY


def test_the_payload_hash_is_that_of_the_exact_bytes() -> None:
    assert hash_payload(b"") == EMPTY
    assert hash_payload(HELLO) == "060269ada81b65767b604bf5630d3df78f334101c1ed3654a8e837fdcb85b440"
    assert hash_payload(b'{"a":1}') == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"


def test_the_string_to_sign_is_these_lines() -> None:
    canonical = canonical_request(
        "POST", f"{SONNET}/converse", [JSON, ("Host", HOST), ("X-Amz-Date", "20250701T120000Z")], hash_payload(HELLO)
    )
    assert string_to_sign(canonical, now=NOW, region=REGION).split("\n") == [
        "AWS4-HMAC-SHA256",
        "20250701T120000Z",
        "20250701/us-east-1/bedrock/aws4_request",
        "7e4f55ac1a8558482c60c228bc70ed2a3c15e46c471b76800aacb079bd896878",
    ]


def test_the_signing_key_is_the_one_of_the_published_example() -> None:
    # "Examples of how to derive a signing key", IAM user guide.
    assert signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215", "us-east-1", "iam").hex() == (
        "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
    )


@pytest.mark.parametrize(
    ("sent", "canonical"),
    [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("/model/a%3A0/converse", "/model/a%253A0/converse"),
        ("/model/a:0/converse", "/model/a%3A0/converse"),
        ("/model/arn%3Aaws%2Fx/converse", "/model/arn%253Aaws%252Fx/converse"),
        ("/model/100%25/converse", "/model/100%2525/converse"),
        ("/model/-_.~/converse", "/model/-_.~/converse"),
        ("/a'()*!@+,=&$;b", "/a%27%28%29%2A%21%40%2B%2C%3D%26%24%3Bb"),
        ("/é", "/%C3%A9"),
        ("/a//b", "/a/b"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/../../b", "/b"),
        ("/a/b/", "/a/b/"),
        ("/a/b//", "/a/b/"),
        ("/a/..", "/"),
        ("/a/.", "/a"),
        ("/a/b/..", "/a"),
        ("/a/b/../", "/a/"),
        ("/./", "/"),
        ("/a/...", "/a/..."),
        ("/base/model/x/converse", "/base/model/x/converse"),
    ],
)
def test_the_path_is_normalized_and_encoded_again(sent: str, canonical: str) -> None:
    assert canonical_path(sent) == canonical


@pytest.mark.parametrize(
    ("sent", "canonical"),
    [
        ("", ""),
        ("a=1", "a=1"),
        ("b=1&a=2", "a=2&b=1"),
        ("a=2&a=10", "a=10&a=2"),
        ("a=b&a", "a=&a=b"),
        ("flag", "flag="),
        ("a=1&&b=2&", "a=1&b=2"),
        ("a=b=c", "a=b%3Dc"),
        ("a=%2f%3a", "a=%2F%3A"),
        ("a=b c", "a=b%20c"),
        ("a=b+c", "a=b%2Bc"),
        ("a=%7E~-_.", "a=~~-_."),
        ("é=ü", "%C3%A9=%C3%BC"),
        ("B=1&a=1", "B=1&a=1"),
        ("a%2D=1&a.=2", "a-=1&a.=2"),
    ],
)
def test_the_query_is_encoded_and_then_sorted_by_name_and_value(sent: str, canonical: str) -> None:
    assert canonical_query(sent) == canonical


def test_header_names_are_lowered_and_sorted_and_white_space_is_folded() -> None:
    assert canonical_headers(("X-B", "  two   words\t here "), (" X-A ", "1"), ("content-TYPE", "t")) == [
        "content-type:t",
        "host:h",
        "x-a:1",
        "x-b:two words here",
    ]


def test_repeated_headers_are_joined_by_commas_in_their_order() -> None:
    assert canonical_headers(("X-A", "b"), ("x-a", " a "), ("X-a", "b")) == ["host:h", "x-a:b,a,b"]


def test_a_header_of_several_lines_is_folded_into_one() -> None:
    assert canonical_headers(("X-A", "one\r\n  two\n\tthree")) == ["host:h", "x-a:one two three"]


def test_an_empty_header_is_signed_as_empty() -> None:
    assert canonical_headers(("X-A", "  ")) == ["host:h", "x-a:"]


def test_a_request_without_headers_has_a_canonical_form() -> None:
    assert canonical_lines("https://h/", ()) == ["POST", "/", "", "", "", EMPTY]


def test_the_method_is_signed_in_upper_case_as_it_is_sent() -> None:
    assert canonical_lines("https://h/", method="post") == canonical_lines("https://h/", method="POST")


# ------------------------------------------------------------------------------------------------------ what is signed


@pytest.mark.parametrize(
    "name",
    [
        "Accept-Encoding",
        "Authorization",
        "baggage",
        "Connection",
        "Expect",
        "Keep-Alive",
        "Proxy-Authorization",
        "TE",
        "traceparent",
        "tracestate",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "USER-AGENT",
        "X-Amzn-Trace-Id",
    ],
)
def test_headers_that_change_in_transit_are_not_signed(name: str) -> None:
    assert signed(headers=[JSON, (name, "anything")]) == signed(headers=[JSON])


@pytest.mark.parametrize("name", ["X-Amz-Anything", "X-Amzn-Bedrock-Accept", "Accept", "amz-sdk-request"])
def test_every_other_header_is_signed(name: str) -> None:
    added = signed(headers=[(name, "value")])
    assert name.lower() in signed_names(added).split(";")
    assert signature(added) != signature(signed(headers=[(name, "other")]))


def test_a_session_token_is_added_and_signed() -> None:
    added = signed(credentials=Keys(session_token="FwoTOKEN=="))
    assert added["X-Amz-Security-Token"] == "FwoTOKEN=="
    assert signed_names(added) == "host;x-amz-date;x-amz-security-token"


@pytest.mark.parametrize("token", [None, ""])
def test_no_session_token_adds_no_header(token: str | None) -> None:
    assert list(signed(credentials=Keys(session_token=token))) == ["X-Amz-Date", "Authorization"]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://h.example/x", "h.example"),
        ("https://h.example:443/x", "h.example"),
        ("http://h.example:80/x", "h.example"),
        ("http://h.example:443/x", "h.example:443"),
        ("https://h.example:80/x", "h.example:80"),
        ("https://h.example:8443/x", "h.example:8443"),
        ("http://127.0.0.1:8080/x", "127.0.0.1:8080"),
        ("http://[::1]/x", "[::1]"),
        ("http://[::1]:80/x", "[::1]"),
        ("http://[::1]:8080/x", "[::1]:8080"),
        ("https://user:pass@h.example:443/x", "h.example"),
    ],
)
def test_the_host_is_the_urls_without_a_default_port(url: str, host: str) -> None:
    assert signed(url) == signed(url, [("Host", host)])
    assert signed(url) != signed(url, [("Host", "elsewhere.example")])


def test_an_explicit_host_is_signed_unchanged() -> None:
    assert signed("https://tunnel.example/x", [("host", "h.example")]) == signed("https://h.example/x")


def test_a_payload_hash_replaces_the_body() -> None:
    assert signed(body=b"", payload_hash=hash_payload(HELLO)) == signed(body=HELLO)


def test_a_content_hash_header_takes_precedence_over_body_and_payload_hash() -> None:
    unsigned = [("X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD")]
    added = signed(headers=unsigned, body=HELLO)
    assert added == signed(headers=unsigned, body=b"other", payload_hash=EMPTY)
    assert signed_names(added) == "host;x-amz-content-sha256;x-amz-date"
    canonical = canonical_request(
        "POST",
        f"{SONNET}/converse",
        [*unsigned, ("Host", HOST), ("X-Amz-Date", "20250701T120000Z")],
        "UNSIGNED-PAYLOAD",
    )
    key = signing_key(Keys().secret_access_key, "20250701", REGION)
    text = string_to_sign(canonical, now=NOW, region=REGION)
    assert signature(added) == reference_hmac(key, text)


def reference_hmac(key: bytes, text: str) -> str:
    """Return HMAC-SHA256 as defined in RFC 2104, so that the last stage is not checked against itself."""
    block = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + text.encode()).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in block) + inner).hexdigest()


@pytest.mark.parametrize(
    "change",
    [{"region": "eu-west-1"}, {"service": "sts"}, {"body": b"x"}, {"url": f"{SONNET}/invoke"}],
    ids=["region", "service", "body", "url"],
)
def test_another_request_has_another_signature(change: dict[str, object]) -> None:
    assert signature(signed(**change)) != signature(signed())  # type: ignore[arg-type]  # any argument may change


def test_signing_again_replaces_what_an_earlier_attempt_added() -> None:
    first = signed(headers=[JSON], credentials=Keys(session_token="old"), now=NOW - timedelta(minutes=7))
    again = signed(headers=[JSON, *first.items()], credentials=Keys(session_token="new"))
    assert again == signed(headers=[JSON], credentials=Keys(session_token="new"))


def test_signing_does_not_change_the_callers_headers() -> None:
    headers = [JSON]
    signed(headers=headers)
    assert headers == [JSON]
    assert signed(headers=iter(headers)) == signed(headers=headers)  # type: ignore[arg-type]  # any iterable is accepted


# ----------------------------------------------------------------------------------------------------------- the clock


@pytest.mark.parametrize(
    "now",
    [
        datetime(2025, 7, 1, 12),  # noqa: DTZ001  # naive means UTC
        datetime(2025, 7, 1, 14, tzinfo=timezone(timedelta(hours=2))),
        datetime(2025, 7, 2, 2, tzinfo=timezone(timedelta(hours=14))),
        datetime(2025, 7, 1, 0, tzinfo=timezone(timedelta(hours=-12))),
        datetime(2025, 7, 1, 12, 0, 0, 999_999, tzinfo=UTC),
    ],
    ids=["naive", "two hours east", "tomorrow", "midnight in the west", "end of the second"],
)
def test_the_same_instant_gives_the_same_signature_in_any_zone(now: datetime) -> None:
    assert signed(now=now) == signed(now=NOW)


def test_the_scope_follows_the_day_in_utc() -> None:
    late = datetime(2025, 7, 1, 23, 30, tzinfo=timezone(timedelta(hours=-1)))
    added = signed(now=late)
    assert added["X-Amz-Date"] == "20250702T003000Z"
    assert "/20250702/us-east-1/bedrock/aws4_request" in added["Authorization"]


# ------------------------------------------------------------------------------------------------------------- secrecy


def test_the_signing_key_cache_is_bounded_and_shows_no_secret() -> None:
    secret = "a-secret-not-to-be-shown"
    for day in range(2_000):
        signing_key(secret, f"{day:08}", REGION)
    shown = repr(signing_key) + repr(signing_key.cache_info()) + repr(signing_key.cache_parameters())
    assert secret not in shown
    size = signing_key.cache_info().maxsize
    assert size is not None
    assert signing_key.cache_info().currsize == size < 2_000


def test_the_secret_is_not_in_the_added_headers() -> None:
    keys = Keys(session_token="token")
    assert keys.secret_access_key not in repr(signed(credentials=keys))


# ------------------------------------------------------------------------------------------------------ another signer


class Case(NamedTuple):
    method: str
    url: str
    headers: Pairs
    body: bytes
    keys: Keys
    region: str
    now: datetime


def botocore_authorization(case: Case) -> str:
    """Return the `Authorization` of botocore's pure-Python signer, at the case's time."""
    headers = HTTPHeaders()
    for name, value in case.headers:
        headers[name] = value
    request = AWSRequest(case.method, case.url, headers=headers, data=case.body)
    keys = BotocoreCredentials(case.keys.access_key_id, case.keys.secret_access_key, case.keys.session_token)
    with mock.patch("botocore.auth.get_current_datetime", return_value=case.now):
        SigV4Auth(keys, "bedrock", case.region).add_auth(request)
    return str(request.headers["Authorization"])


_PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_label = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
_hosts = st.one_of(
    st.sampled_from([HOST, "127.0.0.1", "localhost", "[::1]", "bedrock-runtime.cn-north-1.amazonaws.com.cn"]),
    st.lists(_label, min_size=2, max_size=4).map(".".join),
)
_ports = st.sampled_from(["", "", ":80", ":443", ":8080", ":1"])
_bases = st.sampled_from(["", "", "/base", "/a/b", "/a//b", "/a/./b", "/a/../b", "/%7Euser", "/tilde~"])
_models = st.one_of(
    st.sampled_from(
        [
            "anthropic.claude-3-sonnet-20240229-v1:0",
            "us.meta.llama3-3-70b-instruct-v1:0",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0",
            "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:custom-model-deployment/a1b2",
        ]
    ),
    st.text(_PRINTABLE, min_size=1, max_size=24).filter(lambda model: model not in (".", "..")),
    st.text(min_size=1, max_size=12).filter(lambda model: model not in (".", "..")),
)
_safes = st.sampled_from(["", ":", ":@!$&'()*+,;="])  # clients differ in what they leave unescaped
_operations = st.sampled_from(["converse", "converse-stream", "invoke", "count-tokens"])
_token = st.text(_LETTERS + "-", min_size=1, max_size=10)
_query_part = st.text(max_size=8).map(lambda text: quote(text, safe=""))
_queries = st.lists(
    st.tuples(_token.map(lambda text: quote(text, safe="")), _query_part).map("=".join), max_size=4
).map(lambda pairs: "?" + "&".join(pairs) if pairs else "")
_header_names = st.one_of(
    st.sampled_from(["Content-Type", "Accept", "X-Amzn-Bedrock-Accept", "X-Amzn-Bedrock-Trace", "amz-sdk-request"]),
    st.sampled_from(["User-Agent", "Connection", "traceparent", "X-Amzn-Trace-Id", "Expect"]),
    _token.map(lambda text: f"X-Amz-{text}").filter(lambda name: name.lower() != "x-amz-date"),
)
_headers = st.lists(st.tuples(_header_names, st.text(_PRINTABLE | st.just("\t"), max_size=20)), max_size=6)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Generate requests to Bedrock, or to a gateway in front of it."""
    scheme = draw(st.sampled_from(["https", "http"]))
    model = quote(draw(_models), safe=draw(_safes))
    url = f"{scheme}://{draw(_hosts)}{draw(_ports)}{draw(_bases)}/model/{model}/{draw(_operations)}{draw(_queries)}"
    body = draw(st.binary(max_size=200))
    headers = draw(_headers)
    if draw(st.booleans()):
        headers.append(("X-Amz-Content-SHA256", hash_payload(body)))
    secret = draw(st.text(_LETTERS + "/+", min_size=1, max_size=60))
    token = draw(st.none() | st.text(_LETTERS + "/+=", min_size=1, max_size=300))
    now = draw(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001  # zone is added
    return Case(
        draw(st.sampled_from(["POST", "GET", "PUT"])),
        url,
        headers,
        body,
        Keys("AKID" + draw(_label).upper(), secret, token),
        draw(st.sampled_from(["us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1"])),
        now,
    )


@settings(max_examples=300)
@given(cases())
@example(Case("POST", f"{SONNET}/converse", [JSON], HELLO, Keys(), REGION, NOW))
def test_botocore_computes_the_same_authorization(case: Case) -> None:
    added = sign(
        case.method,
        case.url,
        case.headers,
        case.body,
        credentials=case.keys,
        region=case.region,
        now=case.now,
    )
    assert added["Authorization"] == botocore_authorization(case)
