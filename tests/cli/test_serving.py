"""A port that cannot be used is one line that names the option, whichever command listens."""

from __future__ import annotations

import errno
import socket

import pytest

from bedrock_stream.cli.app import invoke
from bedrock_stream.cli.serving import explain_bind_errors, listen


@pytest.mark.parametrize("arguments", [["emulator"], ["gateway"], ["play", "--no-browser"]], ids=lambda words: words[0])
def test_a_port_in_use(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert invoke([*arguments, "--port", str(port)]) == 1
    message = f"port {port} is in use; pass another one as --port, or 0 for any free one"
    assert capsys.readouterr() == ("", f"bedrock-stream: {message}\n")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EACCES, "Permission denied"), "pass one above 1023 as --port"),
        (OSError(errno.EADDRNOTAVAIL, "Cannot assign"), "pass another one as --host"),
        (socket.gaierror(-2, "Name or service not known"), "nowhere is not an address of this machine"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
    ],
)
def test_other_errors(error: OSError, message: str) -> None:
    with pytest.raises(OSError, match=message), explain_bind_errors("nowhere", 80):
        raise error


def test_listens_on_ipv6() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        server = listen("::1", 0)
    except OSError:
        pytest.skip("no IPv6")
    with server:
        assert server.family == socket.AF_INET6
