"""A thousand requests, each signed by three signers: ours, botocore's pure-Python signer, and AWS's C library.

A seeded generator builds the table, so it is the same in every run and on every machine. Each kind of request has one
special feature, the rest is random. The complete `Authorization` values are compared. The signers differ by design in
three points, where each gets the input that makes it sign the same request:

- botocore assumes that the query in a URL is canonical already, so it gets the query's parts unencoded.
- botocore and the C library sign `Accept-Encoding`, which proxies rewrite, so they do not get it. The C library also
  signs tracing and hop-by-hop headers, which botocore leaves out, so it gets botocore's list.
- The C library adds `X-Amz-Content-SHA256` itself and refuses a request that has it, so it is configured to add it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from random import Random
from unittest import mock
from urllib.parse import quote, urlsplit

import msgspec
import pytest
from awscrt import auth as crt
from awscrt.http import HttpHeaders, HttpRequest
from botocore.auth import SIGNED_HEADERS_BLACKLIST, SigV4Auth
from botocore.awsrequest import AWSRequest, HTTPHeaders
from botocore.credentials import Credentials as BotocoreCredentials

from bedrock_stream import Credentials
from bedrock_stream.auth.sigv4 import sign

CASES_PER_KIND = 40
ACCOUNT = "123456789012"
UNSIGNED = {*SIGNED_HEADERS_BLACKLIST, "accept-encoding"}
CONTENT_HASH = "X-Amz-Content-SHA256"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
PARTITIONS = {
    "aws": ("amazonaws.com", ["us-east-1", "us-west-2", "eu-central-1", "ap-southeast-2", "sa-east-1", "af-south-1"]),
    "aws-cn": ("amazonaws.com.cn", ["cn-north-1", "cn-northwest-1"]),
    "aws-us-gov": ("amazonaws.com", ["us-gov-west-1", "us-gov-east-1"]),
    "aws-iso": ("c2s.ic.gov", ["us-iso-east-1", "us-iso-west-1"]),
    "aws-iso-b": ("sc2s.sgov.gov", ["us-isob-east-1"]),
    "aws-iso-e": ("cloud.adc-e.uk", ["eu-isoe-west-1"]),
    "aws-iso-f": ("csp.hci.ic.gov", ["us-isof-south-1", "us-isof-east-1"]),
    "aws-eusc": ("amazonaws.eu", ["eusc-de-east-1"]),
}


class Case(msgspec.Struct, kw_only=True):
    """One request to sign, as its parts."""

    method: str = "POST"
    scheme: str = "https"
    host: str
    port: str = ""
    path: str
    query: list[tuple[str, str]] = []
    """Unencoded."""
    headers: list[tuple[str, str]]
    body: bytes
    hashed: bool = False
    """True if a header has the body's hash."""
    keys: Credentials
    region: str
    service: str = "bedrock"
    now: datetime

    @property
    def bare_url(self) -> str:
        return f"{self.scheme}://{self.host}{self.port}{self.path}"

    @property
    def target(self) -> str:
        """Path and query, encoded as they are sent."""
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in self.query)
        return self.path + (f"?{query}" if query else "")

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}{self.port}{self.target}"


# --------------------------------------------------------------------------------------------------------- the signers


def our_authorization(case: Case) -> str:
    headers = list(case.headers)
    if case.hashed:
        headers.append((CONTENT_HASH, sha256(case.body).hexdigest()))
    added = sign(
        case.method,
        case.url,
        headers,
        case.body,
        credentials=case.keys,
        region=case.region,
        service=case.service,
        now=case.now,
    )
    return added["Authorization"]


def botocore_authorization(case: Case) -> str:
    """Sign with the pure-Python signer, used directly: botocore would choose another one if `awscrt` is installed."""
    headers = HTTPHeaders()
    for name, value in case.headers:
        if name.lower() != "accept-encoding":
            headers[name] = value
    if case.hashed:
        headers[CONTENT_HASH] = sha256(case.body).hexdigest()
    request = AWSRequest(case.method, case.bare_url, headers=headers, data=case.body, params=case.query)
    keys = BotocoreCredentials(case.keys.access_key_id, case.keys.secret_access_key, case.keys.session_token)
    with mock.patch("botocore.auth.get_current_datetime", return_value=case.now):
        SigV4Auth(keys, case.service, case.region).add_auth(request)
    return str(request.headers["Authorization"])


def crt_authorization(case: Case) -> str:
    headers = HttpHeaders([*case.headers, ("Host", _host(case))])
    keys = case.keys
    header_type = crt.AwsSignedBodyHeaderType
    config = crt.AwsSigningConfig(
        algorithm=crt.AwsSigningAlgorithm.V4,
        signature_type=crt.AwsSignatureType.HTTP_REQUEST_HEADERS,
        credentials_provider=crt.AwsCredentialsProvider.new_static(
            keys.access_key_id, keys.secret_access_key, keys.session_token
        ),
        region=case.region,
        service=case.service,
        date=case.now,
        should_sign_header=lambda name: name.lower() not in UNSIGNED,
        use_double_uri_encode=True,
        should_normalize_uri_path=True,
        signed_body_header_type=header_type.X_AMZ_CONTENT_SHA_256 if case.hashed else header_type.NONE,
    )
    request = HttpRequest(case.method, case.target, headers, BytesIO(case.body))
    return str(crt.aws_sign_request(request, config).result(10).headers.get("Authorization"))


def _host(case: Case) -> str:
    default = {"https": ":443", "http": ":80"}[case.scheme]
    return case.host if case.port == default else case.host + case.port


# ------------------------------------------------------------------------------------------------------- the generator


def word(random: Random, least: int = 1, most: int = 12, letters: str = LETTERS) -> str:
    return "".join(random.choices(letters, k=random.randint(least, most)))


def model_path(random: Random, model: str) -> str:
    operation = random.choice(["converse", "converse-stream", "invoke", "invoke-with-response-stream", "count-tokens"])
    return f"/model/{quote(model, safe='')}/{operation}"


def plain(random: Random) -> Case:
    """Build a request as this library sends it, without special features."""
    _, (domain, regions) = random.choice(list(PARTITIONS.items()))
    region = random.choice(regions)
    model = f"{random.choice(['meta.llama3', 'cohere.command', 'amazon.nova', 'mistral.large'])}-{word(random)}"
    now = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=random.randrange(20 * 365 * 86_400))
    return Case(
        host=f"bedrock-runtime.{region}.{domain}",
        path=model_path(random, model),
        headers=[
            ("Content-Type", "application/json"),
            ("Accept", random.choice(["application/json", "application/vnd.amazon.eventstream"])),
            ("Accept-Encoding", "identity"),
            ("User-Agent", f"bedrock-stream/{random.randint(0, 9)}"),
        ],
        body=msgspec.json.encode({"messages": [{"role": "user", "content": [{"text": word(random, 0, 40)}]}]}),
        keys=Credentials("AKIA" + word(random, 16, 16).upper(), word(random, 40, 40, LETTERS + "/+")),
        region=region,
        now=now,
    )


def arn(case: Case, resource: str) -> str:
    partition = next(name for name, (_, regions) in PARTITIONS.items() if case.region in regions)
    return f"arn:{partition}:bedrock:{case.region}:{ACCOUNT}:{resource}"


def colon_id(random: Random, case: Case) -> None:
    case.path = model_path(random, f"anthropic.claude-{word(random)}-v{random.randint(1, 3)}:{random.randint(0, 2)}")


def profile_id(random: Random, case: Case) -> None:
    geo = random.choice(["us", "eu", "apac", "global", "us-gov"])
    case.path = model_path(random, f"{geo}.anthropic.claude-{word(random)}-v1:0")


def raw_colon(random: Random, case: Case) -> None:
    # Some clients send it unescaped; the path is signed as it is sent.
    case.path = f"/model/anthropic.claude-{word(random)}-v1:{random.randint(0, 9)}/converse"


def system_profile(random: Random, case: Case) -> None:
    case.path = model_path(random, arn(case, f"inference-profile/us.anthropic.claude-{word(random)}-v1:0"))


def application_profile(random: Random, case: Case) -> None:
    case.path = model_path(random, arn(case, f"application-inference-profile/{word(random, 12, 12).lower()}"))


def provisioned(random: Random, case: Case) -> None:
    case.path = model_path(random, arn(case, f"provisioned-model/{word(random, 12, 12).lower()}"))


def prompt(random: Random, case: Case) -> None:
    case.path = model_path(random, arn(case, f"prompt/{word(random, 10, 10).upper()}:{random.randint(1, 99)}"))


def session_token(random: Random, case: Case) -> None:
    token = word(random, 1, 900, LETTERS + "/+=")
    case.keys = Credentials("ASIA" + word(random, 16, 16).upper(), case.keys.secret_access_key, token)


def odd_characters(random: Random, case: Case) -> None:
    special = word(random, 1, 20, " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
    case.path = model_path(random, f"a{special}z")


def encoded_twice(random: Random, case: Case) -> None:
    case.path = model_path(random, quote(quote(word(random, 1, 12, "%/:+ é"), safe=""), safe=""))


def sent_unescaped(random: Random, case: Case) -> None:
    # Between letters: the C library parses `:/` as the end of a scheme and refuses the path.
    special = word(random, 1, 16, "!$&'()*+,;=:@-._~")
    case.path = f"/model/x{special}z/invoke"


def unicode_path(random: Random, case: Case) -> None:
    model = "".join(chr(random.choice([0xE9, 0x3B1, 0x4E2D, 0x1F600, 0x301, 0x202E])) for _ in range(6))
    case.path = f"/model/{model}/invoke" if random.random() < 0.3 else model_path(random, model)


def custom_port(random: Random, case: Case) -> None:
    case.scheme = random.choice(["http", "https"])
    case.host = random.choice(["127.0.0.1", "localhost", "[::1]", "[2001:db8::7]", "gateway.example"])
    case.port = random.choice([":80", ":443", ":8080", ":1", ":65535"])


def base_path(random: Random, case: Case) -> None:
    case.path = random.choice(["/base", "/a/b/c", "/%7Euser", "/tilde~", "/v1/aws%2Fproxy", "/ü"]) + case.path


def dot_segments(random: Random, case: Case) -> None:
    segments = [random.choice([".", "..", "", "a", "...", ".b", "%2E"]) for _ in range(random.randint(1, 6))]
    case.path = "/" + "/".join(segments) + random.choice(["", "/", case.path])


def queries(random: Random, case: Case) -> None:
    letters = LETTERS + " +/=&%~-_.:é"
    names = [word(random, 1, 6, letters) for _ in range(3)]
    case.method = random.choice(["GET", "POST"])
    case.query = [(random.choice(names), word(random, 0, 8, letters)) for _ in range(random.randint(1, 6))]


def repeated_headers(random: Random, case: Case) -> None:
    spellings = ["X-Amz-Meta", "x-amz-meta", "X-AMZ-META"]
    case.headers += [(random.choice(spellings), word(random, 0, 8)) for _ in range(random.randint(2, 5))]


def folded_white_space(random: Random, case: Case) -> None:
    value = "".join(random.choice([" ", "  ", "\t", " \t ", word(random)]) for _ in range(9))
    case.headers += [("X-Amzn-Bedrock-Trace", value), ("X-Folded", f"one {value}")]


def unsigned_headers(random: Random, case: Case) -> None:
    case.headers += [(name.title(), word(random)) for name in random.sample(sorted(SIGNED_HEADERS_BLACKLIST), 4)]


def bedrock_headers(random: Random, case: Case) -> None:
    case.headers += [
        ("X-Amzn-Bedrock-Accept", "*/*"),
        ("X-Amzn-Bedrock-GuardrailIdentifier", word(random)),
        ("X-Amzn-Bedrock-GuardrailVersion", str(random.randint(1, 99))),
        ("X-Amzn-Bedrock-PerformanceConfig-Latency", "optimized"),
    ]


def bodies(random: Random, case: Case) -> None:
    kinds: list[Callable[[], bytes]] = [
        lambda: b"",
        lambda: b"\0",
        lambda: random.randbytes(random.randint(1, 5000)),
        lambda: '{"text":"naïve \N{WATER WAVE}"}'.encode(),
        lambda: b" \r\n" * random.randint(1, 50),
        lambda: bytes(range(256)) * random.randint(1, 300),
        lambda: b"\xef\xbb\xbf{}",
    ]
    case.body = random.choice(kinds)()


def content_hash(random: Random, case: Case) -> None:
    case.hashed = True
    case.body = random.randbytes(random.randint(0, 64))


def sts_service(random: Random, case: Case) -> None:
    case.service = "sts"
    case.host = f"sts.{case.region}.amazonaws.com"
    case.path = "/"
    form = [("Action", "AssumeRole"), ("RoleArn", f"arn:aws:iam::{ACCOUNT}:role/{word(random)}"), ("Version", "2011")]
    if random.random() < 0.3:
        case.method, case.body, case.headers, case.query = "GET", b"", [], form
        return
    case.headers = [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")]
    case.body = "&".join(f"{name}={quote(value, safe='')}" for name, value in form).encode()


def dates(random: Random, case: Case) -> None:
    days = [(2024, 2, 29), (2024, 3, 1), (2025, 2, 28), (2000, 2, 29), (2025, 12, 31), (2038, 1, 19), (2025, 3, 30)]
    midnight = datetime(*random.choice(days), tzinfo=UTC)
    case.now = midnight + timedelta(seconds=random.choice([-1, 0, 1, 86_398, 86_399, 86_400, 11_647, 11_648]))


def unchanged(_random: Random, _case: Case) -> None:
    pass


KINDS: list[Callable[[Random, Case], None]] = [
    unchanged,
    colon_id,
    raw_colon,
    profile_id,
    system_profile,
    application_profile,
    provisioned,
    prompt,
    session_token,
    odd_characters,
    encoded_twice,
    sent_unescaped,
    unicode_path,
    custom_port,
    base_path,
    dot_segments,
    queries,
    repeated_headers,
    folded_white_space,
    unsigned_headers,
    bedrock_headers,
    bodies,
    content_hash,
    sts_service,
    dates,
]


def everything_at_once(random: Random, case: Case) -> None:
    for kind in random.sample(KINDS, 5):
        kind(random, case)


KINDS.append(everything_at_once)


def make_cases(kind: Callable[[Random, Case], None]) -> list[Case]:
    random = Random(kind.__name__)  # noqa: S311  # seeded, for the same table every time
    cases = []
    for _ in range(CASES_PER_KIND):
        case = plain(random)
        kind(random, case)
        cases.append(case)
    return cases


# ----------------------------------------------------------------------------------------------------------- the tests


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_all_three_signers_compute_the_same_authorization(kind: Callable[[Random, Case], None]) -> None:
    cases = make_cases(kind)
    assert len(cases) == CASES_PER_KIND
    for case in cases:
        ours = our_authorization(case)
        assert ours == botocore_authorization(case), case
        assert ours == crt_authorization(case), case


def test_the_table_has_enough_cases_of_each_feature() -> None:
    cases = [case for kind in KINDS for case in make_cases(kind)]
    assert len(cases) == 26 * CASES_PER_KIND > 1000
    assert len({our_authorization(case) for case in cases}) == len(cases)
    assert {case.region for case in cases} == {region for _, regions in PARTITIONS.values() for region in regions}
    features: dict[str, Callable[[Case], object]] = {
        "colon": lambda case: "%3A" in case.path,
        "ARN": lambda case: "/arn%3Aaws" in case.path,
        "token": lambda case: case.keys.session_token,
        "escaped": lambda case: "%25" in case.path,
        "raw Unicode": lambda case: not case.path.isascii(),
        "port": lambda case: urlsplit(case.url).port,
        "dots": lambda case: {"", ".", ".."} & set(case.path.split("/")[1:-1]),
        "query": lambda case: case.query,
        "repeated": lambda case: len({name.lower() for name, _ in case.headers}) < len(case.headers),
        "white space": lambda case: any("\t" in value for _, value in case.headers),
        "hash": lambda case: case.hashed,
        "empty body": lambda case: not case.body,
        "not JSON": lambda case: case.body[:1] not in (b"", b"{"),
        "sts": lambda case: case.service == "sts",
        "leap day": lambda case: (case.now.month, case.now.day) == (2, 29),
        "midnight": lambda case: f"{case.now:%H%M%S}" in ("000000", "235959"),
    }
    counts = {name: sum(bool(has(case)) for case in cases) for name, has in features.items()}
    assert min(counts.values()) >= 5, counts


def test_the_other_signers_distinguish_different_requests() -> None:
    case = plain(Random(1))  # noqa: S311  # any
    other = msgspec.structs.replace(case, body=case.body + b" ")
    assert botocore_authorization(case) != botocore_authorization(other)
    assert crt_authorization(case) != crt_authorization(other)
