"""Endpoints: the table of partitions against botocore's rules, the order of overrides, and invalid values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreKeys
from botocore.endpoint_provider import EndpointProvider
from botocore.loaders import Loader

from bedrock_stream import Client, Target
from bedrock_stream.auth.profiles import read_profile
from bedrock_stream.errors import ConfigurationError, ValidationFailed
from bedrock_stream.request.endpoints import BEDROCK_RUNTIME, STS, Endpoint, Service, resolve_endpoint, resolve_region
from bedrock_stream.types.settings import DEFAULT_REGION, check_region
from tests.conftest import KEYS
from tests.support.refusals import refused
from tests.support.socket_server import Connection, SocketServer

# ---------------------------------------------------------------------------------------------- the table of partitions

# Partition: two of its regions, suffix, dual-stack suffix.
PARTITIONS = {
    "aws": (["us-east-1", "il-central-1"], "amazonaws.com", "api.aws"),
    "aws-cn": (["cn-north-1", "cn-northwest-1"], "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    "aws-us-gov": (["us-gov-west-1", "us-gov-east-1"], "amazonaws.com", "api.aws"),
    "aws-eusc": (["eusc-de-east-1", "eusc-de-west-2"], "amazonaws.eu", "api.amazonwebservices.eu"),
    "aws-iso": (["us-iso-east-1", "us-iso-west-1"], "c2s.ic.gov", "api.aws.ic.gov"),
    "aws-iso-b": (["us-isob-east-1", "us-isob-west-1"], "sc2s.sgov.gov", "api.aws.scloud"),
    "aws-iso-e": (["eu-isoe-west-1", "eu-isoe-north-2"], "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    "aws-iso-f": (["us-isof-south-1", "us-isof-east-1"], "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
}
ROWS = [(region, *suffixes) for regions, *suffixes in PARTITIONS.values() for region in regions]

# Region names that are not in botocore's partition data.
UNKNOWN_REGIONS = [
    "mx-central-9",
    "af-west-2",
    "me-north-3",
    "sa-west-1",
    "xx-moon-1",
    "local",
    "us-east",
    "EU-WEST-1",
    "a",
]


def regions_of_botocore() -> Iterator[str]:
    for partition in Loader().load_data("partitions")["partitions"]:
        yield from (name for name in partition["regions"] if not name.endswith("-global"))


@pytest.mark.parametrize(("region", "suffix", "dual_stack_suffix"), ROWS)
def test_each_partition_has_its_own_suffixes(region: str, suffix: str, dual_stack_suffix: str) -> None:
    def url(**switches: bool) -> str:
        return resolve_endpoint(region, {}, {}, **switches).url  # type: ignore[arg-type]

    assert url() == f"https://bedrock-runtime.{region}.{suffix}"
    assert url(use_fips=True) == f"https://bedrock-runtime-fips.{region}.{suffix}"
    assert url(use_dual_stack=True) == f"https://bedrock-runtime.{region}.{dual_stack_suffix}"
    assert url(use_fips=True, use_dual_stack=True) == f"https://bedrock-runtime-fips.{region}.{dual_stack_suffix}"


@pytest.fixture(scope="module", params=[(BEDROCK_RUNTIME, "bedrock-runtime"), (STS, "sts")], ids=["bedrock", "sts"])
def rules(request: pytest.FixtureRequest) -> tuple[Service, EndpointProvider]:
    service, name = request.param
    loader = Loader()
    rule_set = loader.load_service_model(name, "endpoint-rule-set-1")
    return service, EndpointProvider(rule_set, loader.load_data("partitions"))


@pytest.mark.parametrize("use_fips", [False, True])
@pytest.mark.parametrize("use_dual_stack", [False, True])
def test_every_region_resolves_as_in_the_rule_set_of_the_service(
    rules: tuple[Service, EndpointProvider], use_fips: bool, use_dual_stack: bool
) -> None:
    service, provider = rules
    regions = [*regions_of_botocore(), *UNKNOWN_REGIONS]
    assert len(regions) > 40
    for region in regions:
        expected = provider.resolve_endpoint(Region=region, UseFIPS=use_fips, UseDualStack=use_dual_stack).url
        endpoint = resolve_endpoint(region, {}, {}, service=service, use_fips=use_fips, use_dual_stack=use_dual_stack)
        assert endpoint.url == expected


# ------------------------------------------------------------------------------------------------------------ overrides

CONFIG = """\
[default]
endpoint_url = https://profile.example
services = here
[services here]
bedrock_runtime =
  endpoint_url = https://service.example/base/
"""
ENVIRON = {
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "https://own.example/",
    "AWS_ENDPOINT_URL": "https://all.example",
}


@pytest.fixture
def profile(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "config"
    path.write_text(CONFIG)
    return dict(read_profile({"AWS_CONFIG_FILE": str(path)}).settings)


def test_overrides_have_an_order(profile: dict[str, str]) -> None:
    environ, settings = dict(ENVIRON), dict(profile)
    strongest = resolve_endpoint("us-east-1", environ, settings, endpoint_url="https://arg.example/a/")
    assert strongest == Endpoint("https://arg.example/a", "endpoint_url")
    resolved = []
    for drop in (
        (environ, "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
        (environ, "AWS_ENDPOINT_URL"),
        *((settings, name) for name in ("bedrock_runtime.endpoint_url", "endpoint_url")),
    ):
        resolved.append(resolve_endpoint("us-east-1", environ, settings))
        del drop[0][drop[1]]
    assert resolved == [
        Endpoint("https://own.example", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
        Endpoint("https://all.example", "AWS_ENDPOINT_URL"),
        Endpoint("https://service.example/base", "bedrock_runtime.endpoint_url of the profile"),
        Endpoint("https://profile.example", "endpoint_url of the profile"),
    ]
    assert resolve_endpoint("us-east-1", environ, settings).source == "region"


@pytest.mark.parametrize("environ", [ENVIRON, {"AWS_ENDPOINT_URL": "https://all.example"}, {}], ids=len)
def test_overrides_match_botocore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
    path = tmp_path / "config"
    path.write_text(CONFIG)
    environ = {**environ, "AWS_CONFIG_FILE": str(path)}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    client = botocore.session.Session().create_client(
        "bedrock-runtime", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    endpoint = resolve_endpoint("eu-west-1", environ, read_profile(environ).settings)
    assert endpoint.url == client.meta.endpoint_url.rstrip("/")


@pytest.mark.parametrize("value", ["true", "True", " TRUE "])
def test_configured_endpoints_can_be_ignored(profile: dict[str, str], value: str) -> None:
    environ = {**ENVIRON, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": value}
    assert resolve_endpoint("us-east-1", environ, profile).source == "region"
    profile["ignore_configured_endpoint_urls"] = value
    assert resolve_endpoint("us-east-1", ENVIRON, profile).source == "region"
    explicit = resolve_endpoint("us-east-1", environ, profile, endpoint_url="https://arg.example")
    assert explicit.source == "endpoint_url"


@pytest.mark.parametrize("value", ["false", "", "yes", "1"])
def test_only_true_ignores_configured_endpoints(value: str) -> None:
    environ = {**ENVIRON, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": value}
    assert resolve_endpoint("us-east-1", environ, {}).source == "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"


@pytest.mark.parametrize(
    ("variable", "setting", "url"),
    [
        ("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", "https://bedrock-runtime-fips.eu-west-1.amazonaws.com"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint", "https://bedrock-runtime.eu-west-1.api.aws"),
    ],
)
def test_fips_and_dual_stack_can_be_set_by_argument_variable_or_profile(variable: str, setting: str, url: str) -> None:
    plain = "https://bedrock-runtime.eu-west-1.amazonaws.com"
    assert resolve_endpoint("eu-west-1", {variable: "true"}, {}).url == url
    assert resolve_endpoint("eu-west-1", {}, {setting: "true"}).url == url
    assert resolve_endpoint("eu-west-1", {variable: "false"}, {setting: "true"}).url == plain
    off = resolve_endpoint("eu-west-1", {variable: "true"}, {}, use_fips=False, use_dual_stack=False)
    assert off.url == plain


@pytest.mark.parametrize(("switch", "kind"), [("use_fips", "FIPS"), ("use_dual_stack", "dual-stack")])
def test_a_custom_endpoint_cannot_be_combined_with_fips_or_dual_stack(switch: str, kind: str) -> None:
    with refused("AWS_ENDPOINT_URL", f"a custom endpoint cannot be combined with {kind}", "drop one of them"):
        resolve_endpoint("us-east-1", {"AWS_ENDPOINT_URL": "https://a"}, {}, **{switch: True})  # type: ignore[arg-type]
    ignored = {"AWS_ENDPOINT_URL": "https://a", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
    assert resolve_endpoint("us-east-1", ignored, {}, **{switch: True}).source == "region"  # type: ignore[arg-type]


# ----------------------------------------------------------------------------------------------------------- valid URLs


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080",
        "http://127.8.9.10/base",
        "http://localhost:1",
        "http://app.localhost",
        "http://[::1]:8080",
        "https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com",
        "https://host:8443/a/b",
    ],
)
def test_valid_endpoint_urls_are_accepted(url: str) -> None:
    assert resolve_endpoint("us-east-1", {}, {}, endpoint_url=url + "/") == Endpoint(url, "endpoint_url")


@pytest.mark.parametrize("host", ["bedrock.example", "10.0.0.1", "[fe80::1]", "localhost.example", "127.0.0.1.example"])
def test_http_to_another_machine_requires_allow_http(host: str) -> None:
    url = f"http://{host}/base"
    with refused("AWS_ENDPOINT_URL", f"{url!r} would send credentials unencrypted", "Client(allow_http=True)"):
        resolve_endpoint("us-east-1", {"AWS_ENDPOINT_URL": url}, {})
    assert resolve_endpoint("us-east-1", {}, {}, endpoint_url=url, allow_http=True).url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bedrock.example",
        "//bedrock.example",
        "ftp://bedrock.example",
        "https://",
        "https://:443",
        "https://a:99999",
        "https://a:b",
        "https://[::1",
        "https://a?x",
        "https://a?",
        "https://a#x",
        "https://a b",
        "https://a\nb",
        "https://a/\r\nx: y",
        " https://a",
    ],
)
def test_invalid_endpoint_urls_are_refused(url: str) -> None:
    shown = url.rstrip("/")
    with refused("endpoint_url", f"expected an endpoint URL, got {shown!r}", "use https://host[:port][/path]"):
        resolve_endpoint("us-east-1", {}, {}, endpoint_url=url, allow_http=True)


@pytest.mark.parametrize("user", ["name:hunter2@", ":hunter2@", "a@hunter2@"])
def test_a_password_in_an_endpoint_url_is_refused_and_not_shown(user: str) -> None:
    shown = "expected an endpoint URL, got 'https://...@host/path'"
    with refused("endpoint_url", shown, "use https://host[:port][/path]") as caught:
        resolve_endpoint("us-east-1", {}, {}, endpoint_url=f"https://{user}host/path")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", [5, b"https://a", Path("a")])
def test_an_endpoint_url_must_be_a_str(url: Any) -> None:
    with refused("endpoint_url", f"expected a str, got {type(url).__name__}", "use https://"):
        resolve_endpoint("us-east-1", {}, {}, endpoint_url=url)


# --------------------------------------------------------------------------------------------------------------- region


def test_region_sources_have_an_order() -> None:
    environ = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}
    assert resolve_region("eu-west-0", environ, {"region": "eu-west-3"}) == "eu-west-0"
    assert resolve_region(None, environ, {"region": "eu-west-3"}) == "eu-west-1"
    assert resolve_region(None, {**environ, "AWS_REGION": ""}, {"region": "eu-west-3"}) == "eu-west-2"
    assert resolve_region(None, {}, {"region": "eu-west-3"}) == "eu-west-3"
    assert resolve_region(None, {}, {"region": ""}) == DEFAULT_REGION == "us-east-1"


@pytest.mark.parametrize("region", ["us-east-1", "a", "A1", "x" * 63])
def test_a_region_is_one_host_label(region: str) -> None:
    assert check_region(region, "region") == region


INVALID_LABELS = [
    "",
    " ",
    "a.b",
    "a/b",
    "evil.example/#",
    "-a",
    "a-",
    "a_b",
    "ü",
    "a\n",
    "x" * 64,
    "a@b",
    "a:1",
    5,
    None,
]


@pytest.mark.parametrize("region", INVALID_LABELS)
def test_a_region_that_is_not_a_host_label_is_refused(region: Any) -> None:
    with refused("region", f"expected a region, got {region!r}", "use a name like 'us-east-1'"):
        check_region(region, "region")


@pytest.mark.parametrize(
    ("explicit", "environ", "settings", "source"),
    [
        ("a.b", {}, {}, "region"),
        ("", {}, {}, "region"),
        (None, {"AWS_REGION": "a.b"}, {}, "AWS_REGION"),
        (None, {"AWS_DEFAULT_REGION": "a.b"}, {}, "AWS_DEFAULT_REGION"),
        (None, {}, {"region": "a.b"}, "region of the profile"),
    ],
)
def test_an_invalid_region_is_reported_with_its_source(
    explicit: str | None, environ: dict[str, str], settings: dict[str, str], source: str
) -> None:
    with refused(source, "expected a region, got ", "use a name like 'us-east-1'"):
        resolve_region(explicit, environ, settings)


def test_the_partition_table_matches_botocore() -> None:
    """Fails when AWS adds a partition."""
    data = Loader().load_data("partitions")["partitions"]
    known = {entry["id"]: (entry["outputs"]["dnsSuffix"], entry["outputs"]["dualStackDnsSuffix"]) for entry in data}
    assert known == {name: (suffix, dual) for name, (_, suffix, dual) in PARTITIONS.items()}
    for entry in data:
        assert all(re.match(entry["regionRegex"], region) for region in PARTITIONS[entry["id"]][0]), json.dumps(entry)


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://host:0443", "https://host"),
        ("https://host:443/a", "https://host/a"),
        ("http://host:080", "http://host"),
        ("http://host:00008080/", "http://host:8080"),
        ("https://host:80", "https://host:80"),
        ("https://host:", "https://host"),
        ("HTTPS://Host.Example/Path", "https://host.example/Path"),
        ("https://host.example./a", "https://host.example./a"),
        ("https://[0:0::1]:8443", "https://[::1]:8443"),
        ("https://[FE80::A]", "https://[fe80::a]"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example"),
        ("https://stra\u00dfe.example", "https://xn--strae-oqa.example"),
        ("https://\uff47\uff57.example", "https://gw.example"),
        ("https://a_b.example", "https://a_b.example"),
        ("https://host/\u00fc%2F", "https://host/%C3%BC%2F"),
    ],
)
def test_an_endpoint_url_has_the_form_in_which_it_is_sent(url: str, sent: str) -> None:
    assert resolve_endpoint("us-east-1", {}, {}, endpoint_url=url, allow_http=True).url == sent


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1]evil.com",
        "http://evil.com[::1]",
        "http://[::1",
        "http://::1]",
        "http://[]",
        "http://[localhost]",
        "http://[127.0.0.1]",
        "http://[::1]:x",
        "http://a:0",
        "http://a:65536",
        "http://a:+80",
        "http://a:-1",
        "http://a:8 0",
        "http://a:80:80",
        "http://a:\u0664\u0664\u0663",
        "http://a:" + "9" * 5_000,
        "http://a..b",
        "http://.a",
        "http://a..",
        "http://" + "a" * 64,
        "http://" + "a." * 127 + "b",
        "http://a\\@b",
        "http://a%2fb",
        "http://a,b",
        "http://127.1",
        "http://256.0.0.1",
        "http://127.0.0.01",
        "http://xn--a\u2044b.example",
        "http://\u2100.example",
        "http:/a",
        "http:a",
        "http://a\tb",
    ],
    ids=lambda url: ascii(url)[:40],
)
def test_a_bad_host_port_or_bracket_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match="endpoint_url: expected an endpoint URL"):
        resolve_endpoint("us-east-1", {}, {}, endpoint_url=url, allow_http=True)


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"])
def test_a_bad_url_of_the_environment_names_its_variable(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: expected an endpoint URL"):
        resolve_endpoint("us-east-1", {name: "https://[::1]x"}, {})


def test_a_target_with_a_bad_url_is_refused_at_the_call() -> None:
    client = Client(region="us-east-1", api_key="k" * 20, failover=[Target(endpoint_url="https://a:99999")])
    with pytest.raises(ConfigurationError, match="endpoint_url"):
        client.stream("amazon.nova-lite-v1:0", "Hi")


HOSTS = ["gw.example.", "gw.example.:8080", "GW.Example", "gw.example:080", "b\u00fccher.example", "[0:0::1]:0080"]


@pytest.mark.parametrize("host", HOSTS)
async def test_the_signed_host_is_the_sent_one(host: str) -> None:
    async def answer(connection: Connection) -> None:
        connection.write(b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n")

    async with SocketServer(answer) as proxy:
        options: dict[str, Any] = {"credentials": KEYS, "proxy": proxy.url, "allow_http": True}
        async with Client(region="us-east-1", endpoint_url=f"http://{host}", **options) as client:
            with pytest.raises(ValidationFailed):
                await client.generate("amazon.nova-lite-v1:0", "Hi")
        request = proxy.connections[0]
    assert signature_of(request, "us-east-1", KEYS) == request.headers["authorization"].partition("Signature=")[2]


def signature_of(request: Connection, region: str, keys: Any) -> str:
    """Return the signature that botocore makes of what arrived."""
    signed = request.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    path = "/" + request.request_line.split()[1].split("/", 3)[3]
    wanted = {name: request.headers[name] for name in signed}
    arrived = AWSRequest("POST", f"http://{request.headers['host']}{path}", data=request.body, headers=wanted)
    arrived.context["timestamp"] = request.headers["x-amz-date"]
    signer = SigV4Auth(BotocoreKeys(keys.access_key_id, keys.secret_access_key, keys.session_token), "bedrock", region)
    signer.headers_to_sign = lambda _: message_of(wanted)
    return str(signer.signature(signer.string_to_sign(arrived, signer.canonical_request(arrived)), arrived))


def message_of(headers: dict[str, str]) -> HTTPMessage:
    message = HTTPMessage()
    for name, value in headers.items():
        message[name] = value
    return message
