"""The choice of the CA bundle, errors for an unreadable one, and one context per client, created in a thread."""

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
def test_bundle_sources_have_an_order(absent: tuple[str, ...], settings: dict[str, str], expected: list[str]) -> None:
    environ = EVERY | dict.fromkeys(absent, "")
    assert [bundle.source for bundle in find_bundle(environ, settings)] == expected


def test_a_bundle_replaces_the_defaults_and_the_openssl_variables_extend_them(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA(organization_name="Others").cert_pem.write_to_path(other)
    monkeypatch.setenv("SSL_CERT_FILE", str(other))  # the defaults of OpenSSL
    replacing = make_context((Bundle(str(bundle), "AWS_CA_BUNDLE"),))
    assert "Ours" in trusted(replacing)
    assert "Others" not in trusted(replacing)
    extending = make_context((Bundle(str(bundle), "SSL_CERT_FILE", alone=False),))
    assert "Ours" in trusted(extending)
    assert "Others" in trusted(extending)
    for context in (replacing, extending):
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_directory_is_accepted(tmp_path: Path) -> None:
    for alone in (True, False):
        make_context((Bundle(str(tmp_path), "SSL_CERT_DIR", alone=alone),))


def test_an_unreadable_bundle_is_reported_by_path(bundle: Path, tmp_path: Path) -> None:
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


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root can read every file")
def test_a_bundle_without_read_permission_is_reported(bundle: Path) -> None:
    bundle.chmod(0)
    with pytest.raises(ConfigurationError, match="Permission denied"):
        make_context((Bundle(str(bundle), "AWS_CA_BUNDLE"),))


@pytest.fixture
def creating_threads(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads in which contexts were created."""
    threads: list[threading.Thread] = []

    def recorded(make: Callable[[tuple[Bundle, ...]], ssl.SSLContext]) -> Callable[..., ssl.SSLContext]:
        def make_and_record(bundles: tuple[Bundle, ...]) -> ssl.SSLContext:
            threads.append(threading.current_thread())
            return make(bundles)

        return make_and_record

    monkeypatch.setattr(certificates, "make_context", recorded(make_context))
    return threads


def test_one_context_is_shared_by_all_loops_and_created_in_another_thread(
    bundle: Path, creating_threads: list[threading.Thread]
) -> None:
    shared = Certificates(None, lambda: (Bundle(str(bundle), "AWS_CA_BUNDLE"),))
    contexts: list[ssl.SSLContext | None] = []

    async def get_often() -> None:
        contexts.extend(await asyncio.gather(*(shared.context() for _ in range(20))))

    loops = [threading.Thread(target=lambda: asyncio.run(get_often())) for _ in range(3)]
    for thread in loops:
        thread.start()
    for thread in loops:
        thread.join()
    assert len(contexts) == 60
    assert len(set(contexts)) == 1
    assert len(creating_threads) == 1
    assert creating_threads[0] not in loops


async def test_cancelling_one_waiter_does_not_affect_the_others(bundle: Path) -> None:
    shared = Certificates(None, lambda: (Bundle(str(bundle), "AWS_CA_BUNDLE"),))
    first, second = (asyncio.ensure_future(shared.context()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert isinstance(await second, ssl.SSLContext)
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_missing_bundles_are_looked_up_once(creating_threads: list[threading.Thread]) -> None:
    lookups = 0

    def find() -> tuple[Bundle, ...]:
        nonlocal lookups
        lookups += 1
        return ()

    shared = Certificates(None, find)
    assert await shared.context() is None
    assert await shared.context() is None
    assert lookups == 1
    assert not creating_threads


async def test_a_bundle_that_failed_is_read_again(bundle: Path) -> None:
    paths = [str(bundle.with_name("missing.pem")), str(bundle)]
    shared = Certificates(None, lambda: (Bundle(paths.pop(0), "AWS_CA_BUNDLE"),))
    with pytest.raises(ConfigurationError):
        await shared.context()
    assert isinstance(await shared.context(), ssl.SSLContext)
