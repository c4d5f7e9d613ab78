"""Host names in the `Host` and `Origin` headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream.request.origins import host_of_header, host_of_origin


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("localhost", "localhost"),
        ("LOCALHOST:80", "localhost"),
        ("app-1.my_service.example:65535", "app-1.my_service.example"),
        ("127.0.0.1:0", "127.0.0.1"),
        ("[::1]:99", "::1"),
        ("[::FFFF:127.0.0.1]", "::ffff:127.0.0.1"),
        ("", ""),
        (":80", ""),
        ("localhost.", ""),
        (".localhost", ""),
        ("localhost:\u0661", ""),
        ("localhost:65536", ""),
        ("\u212aevil", ""),  # the Kelvin sign, which becomes "k" in lower case
        ("[::1%25eth0]", ""),
        ("[1.2.3.4]", ""),
        ("[::1", ""),
        ("::1", ""),
        ("a." * 1000 + "a", ""),
    ],
)
def test_a_host_header_is_a_host_and_a_port(value: str, host: str) -> None:
    assert host_of_header(value) == host
    for scheme in ("http", "https"):
        assert host_of_origin(f"{scheme}://{value}") == host


@given(st.text(alphabet="@/?#\\ ,;%\t\n\r\0\"'<>|", min_size=1, max_size=5), st.text("abc.:1[]", max_size=5))
def test_a_character_that_no_host_has_makes_it_invalid(foreign: str, more: str) -> None:
    for value in (f"localhost{foreign}{more}", f"{more}{foreign}localhost"):
        assert host_of_header(value) == ""
        assert host_of_origin(f"http://{value}") == ""


@pytest.mark.parametrize("value", ["null", "", "http:", "http://", "ftp://localhost", "http:localhost", " http://a"])
def test_an_origin_is_http_or_https(value: str) -> None:
    assert host_of_origin(value) == ""
