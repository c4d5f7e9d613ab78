"""Which hosts are this machine itself. Whoever listens or sends in the clear asks here."""

from __future__ import annotations

from ipaddress import ip_address

__all__ = ("is_loopback",)


def is_loopback(host: str) -> bool:
    """Whether a host's name or address stands for this machine, so that no other one can reach or hear it.

    >>> is_loopback("127.0.0.1"), is_loopback("app.localhost"), is_loopback("localhost.example.com")
    (True, True, False)
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
