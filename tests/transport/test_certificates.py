"""Which bundle counts, that a bad one is named, and that a context is made once and off the loop."""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from bedrock_stream.errors import ConfigurationError
from bedrock_stream.transport import certificates
from bedrock_stream.transport.certificates import Bundle, Certificates, find_bundle, make_context

EVERY = {name: name.lower() for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    trustme.CA(organization_name="Ours").cert_pem.write_to_path(path)
    return path


def trusted(context: ssl.SSLContext) -> str:
    return str(context.get_ca_certs())


@pytest.mark.parametrize(
    ("absent", "settings", "expected"),
    [
        ((), {"ca_bundle": "profile"}, ["AWS_CA_BUNDLE"]),
        (("AWS_CA_BUNDLE",), {"ca_bundle": "profile"}, ["ca_bundle of the profile"]),
        (("AWS_CA_BUNDLE",), {"ca_bundle": ""}, ["REQUESTS_CA_BUNDLE"]),
        (("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"), {}, ["SSL_CERT_FILE", "SSL_CERT_DIR"]),
        (("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), {}, ["SSL_CERT_DIR"]),
        (EVERY, {}, []),
    ],
)
def test_bundles_are_looked_for_in_their_order(
    absent: tuple[str, ...], settings: dict[str, str], expected: list[str]
) -> None:
    environ = EVERY | dict.fromkeys(absent, "")
    assert [found.source for found in find_bundle(environ, settings)] == expected


def test_a_bundle_is_trusted_alone_and_openssls_own_beside_what_openssl_trusts(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA(organization_name="Others").cert_pem.write_to_path(other)
    monkeypatch.setenv("SSL_CERT_FILE", str(other))  # what OpenSSL trusts by itself
    alone = make_context((Bundle(str(bundle), "AWS_CA_BUNDLE"),))
    assert "Ours" in trusted(alone)
    assert "Others" not in trusted(alone)
    beside = make_context((Bundle(str(bundle), "SSL_CERT_FILE", alone=False),))
    assert "Ours" in trusted(beside)
    assert "Others" in trusted(beside)
    for context in (alone, beside):
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_directory_is_taken_as_openssl_takes_one(tmp_path: Path) -> None:
    for kind in (True, False):
        make_context((Bundle(str(tmp_path), "SSL_CERT_DIR", alone=kind),))


def test_a_bundle_that_cannot_be_read_is_named(bundle: Path, tmp_path: Path) -> None:
    empty, junk = tmp_path / "empty.pem", tmp_path / "junk.pem"
    empty.write_text("")
    junk.write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
    for path in (str(tmp_path / "missing.pem"), str(empty), str(junk), "a\0b"):
        for alone in (True, False):
            with pytest.raises(ConfigurationError) as caught:
                make_context((Bundle(path, "AWS_CA_BUNDLE", alone=alone),))
            assert caught.value.argument == "AWS_CA_BUNDLE"
            assert repr(path) in caught.value.problem
    with pytest.raises(ConfigurationError, match="SSL_CERT_DIR"):
        make_context((Bundle(str(bundle), "SSL_CERT_FILE", alone=False), Bundle("/nowhere", "SSL_CERT_DIR", False)))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_bundle_without_permission_is_named(bundle: Path) -> None:
    bundle.chmod(0)
    with pytest.raises(ConfigurationError, match="Permission denied"):
        make_context((Bundle(str(bundle), "AWS_CA_BUNDLE"),))


@pytest.fixture
def made_on(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads on which contexts were made."""
    threads: list[threading.Thread] = []

    def watched(make: Callable[[tuple[Bundle, ...]], ssl.SSLContext]) -> Callable[..., ssl.SSLContext]:
        def make_and_note(bundles: tuple[Bundle, ...]) -> ssl.SSLContext:
            threads.append(threading.current_thread())
            return make(bundles)

        return make_and_note

    monkeypatch.setattr(certificates, "make_context", watched(make_context))
    return threads


def test_one_context_serves_all_loops_and_is_made_off_them(bundle: Path, made_on: list[threading.Thread]) -> None:
    ours = Certificates(None, lambda: (Bundle(str(bundle), "AWS_CA_BUNDLE"),))
    contexts: list[ssl.SSLContext | None] = []

    async def ask_often() -> None:
        contexts.extend(await asyncio.gather(*(ours.context() for _ in range(20))))

    loops = [threading.Thread(target=lambda: asyncio.run(ask_often())) for _ in range(3)]
    for thread in loops:
        thread.start()
    for thread in loops:
        thread.join()
    assert len(contexts) == 60
    assert len(set(contexts)) == 1
    assert len(made_on) == 1
    assert made_on[0] not in loops


async def test_whoever_stops_waiting_takes_the_context_from_nobody(bundle: Path) -> None:
    ours = Certificates(None, lambda: (Bundle(str(bundle), "AWS_CA_BUNDLE"),))
    first, second = (asyncio.ensure_future(ours.context()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert isinstance(await second, ssl.SSLContext)
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_nobody_asks_twice_where_nothing_is_named(made_on: list[threading.Thread]) -> None:
    asked = 0

    def find() -> tuple[Bundle, ...]:
        nonlocal asked
        asked += 1
        return ()

    ours = Certificates(None, find)
    assert await ours.context() is None
    assert await ours.context() is None
    assert asked == 1
    assert not made_on


async def test_a_bundle_that_was_mended_is_read_again(bundle: Path) -> None:
    named = [str(bundle.with_name("missing.pem")), str(bundle)]
    ours = Certificates(None, lambda: (Bundle(named.pop(0), "AWS_CA_BUNDLE"),))
    with pytest.raises(ConfigurationError):
        await ours.context()
    assert isinstance(await ours.context(), ssl.SSLContext)
