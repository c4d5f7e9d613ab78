"""The proxy of a URL as a table, and that any junk in a variable is ignored or raises `ConfigurationError`."""

from __future__ import annotations

import contextlib
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bedrock_stream.errors import ConfigurationError
from bedrock_stream.transport.proxies import Proxy, find_proxy, read_proxy

BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com/model/x"


def proxy_source(url: str, environ: dict[str, str], explicit: str | None = None) -> str | None:
    """Return the variable that the proxy comes from."""
    proxy = find_proxy(url, explicit, environ)
    return proxy.source if proxy else None


@pytest.mark.parametrize(
    ("url", "variables", "source"),
    [
        (BEDROCK, "", None),
        (BEDROCK, "https_proxy HTTPS_PROXY all_proxy ALL_PROXY http_proxy", "https_proxy"),
        (BEDROCK, "HTTPS_PROXY all_proxy ALL_PROXY", "HTTPS_PROXY"),
        (BEDROCK, "all_proxy ALL_PROXY", "all_proxy"),
        (BEDROCK, "ALL_PROXY", "ALL_PROXY"),
        (BEDROCK, "http_proxy HTTP_PROXY", None),
        ("http://example.com/", "http_proxy HTTP_PROXY", "http_proxy"),
        ("http://example.com/", "HTTP_PROXY", "HTTP_PROXY"),
        ("http://example.com/", "https_proxy", None),
        # Under CGI, the `Proxy:` header of any client becomes HTTP_PROXY.
        ("http://example.com/", "HTTP_PROXY REQUEST_METHOD", None),
        ("http://example.com/", "HTTP_PROXY http_proxy REQUEST_METHOD", "http_proxy"),
        (BEDROCK, "HTTPS_PROXY REQUEST_METHOD", "HTTPS_PROXY"),
    ],
)
def test_variables_have_an_order(url: str, variables: str, source: str | None) -> None:
    environ = {name: f"http://{name.lower().replace('_', '-')}:3128" for name in variables.split()}
    assert proxy_source(url, environ) == source


def test_a_blank_variable_counts_as_absent() -> None:
    assert proxy_source(BEDROCK, {"https_proxy": " ", "HTTPS_PROXY": "proxy:1"}) == "HTTPS_PROXY"
    assert proxy_source(BEDROCK, {"HTTPS_PROXY": "proxy:1", "no_proxy": "", "NO_PROXY": "*"}) is None


def test_an_explicit_proxy_takes_precedence_and_an_empty_one_disables_proxies() -> None:
    environ = {"HTTPS_PROXY": "http://other:1", "NO_PROXY": "*"}
    assert find_proxy("http://localhost:80/", "proxy:3128", environ) == Proxy("http://proxy:3128", None, None, "proxy")
    assert find_proxy(BEDROCK, "", {"HTTPS_PROXY": "http://other:1"}) is None


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST", "app.localhost", "127.0.0.1", "127.8.9.1", "[::1]", "[::ffff:127.0.0.1]",
        "169.254.169.254", "169.254.170.2", "[fe80::1]",
    ],
)  # fmt: skip
def test_local_hosts_never_use_a_proxy_of_the_environment(host: str) -> None:
    for scheme in ("http", "https"):
        assert proxy_source(f"{scheme}://{host}:8080/", {"ALL_PROXY": "http://proxy:1"}) is None


@pytest.mark.parametrize(
    ("no_proxy", "url", "exempt"),
    [
        ("*", "https://example.com/", True),
        ("a.com,*", "https://example.com/", True),
        ("example.com", "https://example.com/", True),
        ("EXAMPLE.com", "https://Example.COM/", True),
        ("example.com", "https://example.com./", True),
        ("example.com", "https://www.example.com/", True),
        (".example.com", "https://www.example.com/", True),
        ("*.example.com", "https://www.example.com/", True),
        ("example.com", "https://notexample.com/", False),
        ("www.example.com", "https://example.com/", False),
        (" a.com , example.com ", "https://example.com/", True),
        ("a.com example.com", "https://example.com/", True),
        ("example.com:443", "https://example.com/", True),
        ("example.com:8443", "https://example.com/", False),
        ("example.com:8443", "https://example.com:8443/", True),
        ("example.com:80", "http://example.com/", True),
        ("10.0.0.0/8", "https://10.1.2.3/", True),
        ("10.0.0.1/8", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://11.1.2.3/", False),
        ("10.1.2.3", "https://10.1.2.3:8080/", True),
        ("10.1.2.3:8080", "https://10.1.2.3:8080/", True),
        ("10.1.2.3:8080", "https://10.1.2.3/", False),
        ("10.0.0.0/8", "https://[::ffff:10.1.2.3]/", True),
        ("fd00::/8", "https://[fd00::1]/", True),
        ("fd00::1", "https://[fd00::1]:8443/", True),
        ("[fd00::1]:8443", "https://[fd00::1]:8443/", True),
        ("[fd00::1]:8443", "https://[fd00::1]/", False),
        ("fd00::/8", "https://10.1.2.3/", False),
        (",, ,/,10.0.0.0/99,[", "https://example.com/", False),
    ],
)
def test_no_proxy_supports_names_suffixes_ports_and_networks(no_proxy: str, url: str, exempt: bool) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        assert (proxy_source(url, {"ALL_PROXY": "http://proxy:1", name: no_proxy}) is None) == exempt


@given(st.text(max_size=40), st.sampled_from(["https://example.com/", "http://10.1.2.3:81/", "https://[fd00::1]/"]))
def test_invalid_entries_of_no_proxy_are_ignored(junk: str, url: str) -> None:
    assert proxy_source(url, {"ALL_PROXY": "http://proxy:1", "NO_PROXY": f"{junk},a.test"}) in (None, "ALL_PROXY")
    assert (
        proxy_source(url, {"ALL_PROXY": "http://proxy:1", "NO_PROXY": f"{junk} example.com,10.1.2.3,fd00::/8"}) is None
    )


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("proxy", "http://proxy:80"),
        ("proxy:3128", "http://proxy:3128"),
        (" http://Proxy.Example:3128/ ", "http://proxy.example:3128"),
        ("HTTP://proxy:3128", "http://proxy:3128"),
        ("https://proxy", "https://proxy:443"),
        ("http://10.0.0.1:8080", "http://10.0.0.1:8080"),
        ("http://[fd00::1]:8080", "http://[fd00::1]:8080"),
    ],
)
def test_proxies_are_parsed_in_their_common_spellings(value: str, url: str) -> None:
    assert read_proxy(value, "HTTPS_PROXY") == Proxy(url, None, None, "HTTPS_PROXY")
    assert read_proxy(value, "HTTPS_PROXY").authorization is None


@pytest.mark.parametrize(
    "value",
    [
        "socks5://user:secret@proxy:1080", "socks5h://proxy", "ftp://proxy", "http://", "http://user:secret@",
        "http://user:secret@proxy:port", "http://user:secret@proxy:99999", "http://user:secret#@proxy:3128",
        "http://user:12/secret@proxy:3128", "http://user:12?secret@proxy:3128", "http://[::1", "http://pro xy:1",
        "http://user:secret@pro\nxy:1", "http://us%3Aer:secret@proxy:1", "://proxy", "http://user:secret\u2100@proxy",
        "http://user:secret@[::1]proxy:1", "http://proxy[::1]:1",
    ],
)  # fmt: skip
def test_an_invalid_proxy_is_refused_without_its_password(value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_proxy(value, "HTTPS_PROXY")
    error = caught.value
    assert error.argument == "HTTPS_PROXY"
    assert error.remedy
    assert "secret" not in str(error)
    assert error.__context__ is None


def test_a_proxy_that_is_not_a_str_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="proxy: expected a str, got int"):
        read_proxy(3128, "proxy")  # type: ignore[arg-type]


LOGINS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(LOGINS.filter(lambda user: ":" not in user), LOGINS)
@example("", "")
@example("us@er", "p:a/s?s#w@rd")
def test_user_and_password_are_split_off_and_masked(user: str, password: str) -> None:
    proxy = read_proxy(f"http://{quote(user, safe='')}:{quote(password, safe='')}@proxy:3128", "HTTPS_PROXY")
    assert proxy == Proxy("http://proxy:3128", user, password, "HTTPS_PROXY")
    assert repr(proxy) == "Proxy('http://proxy:3128', source='HTTPS_PROXY', user=..., password=...)"
    assert proxy.__rich_repr__() == []
    assert str(proxy) == "the proxy proxy:3128 (HTTPS_PROXY)"


def test_the_login_is_sent_as_basic_authentication() -> None:
    assert read_proxy("http://Aladdin:open%20sesame@proxy", "proxy").authorization == (
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # the example of RFC 7617
    )
    assert read_proxy("http://user@proxy", "proxy").authorization == "Basic dXNlcjo="


@given(st.text(max_size=60))
@example("http://[v1.x]:1")
@example("http://a%zz")
@example("//@")
def test_any_text_is_a_proxy_or_a_configuration_error(value: str) -> None:
    with contextlib.suppress(ConfigurationError):  # no other error
        proxy = read_proxy(value, "HTTPS_PROXY")
        assert read_proxy(proxy.url, "HTTPS_PROXY").url == proxy.url
