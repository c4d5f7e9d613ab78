"""Strict parsing of the `Host` and `Origin` headers, for everything here that serves HTTP.

A value with anything but a host and a port (userinfo, path, query, fragment, a list) has no host here: programs that
parse it differently would see another host in it.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address

__all__ = ("host_of_header", "host_of_origin")

# RFC 9110, 7.2: Host = uri-host [ ":" port ]. Names consist of the characters that DNS and container networks use.
_AUTHORITY = re.compile(r"(?:\[([0-9a-f:.]{2,45})\]|([\w-]{1,63}(?:\.[\w-]{1,63})*))(?::(\d{1,5}))?", re.ASCII)
# RFC 6454, 6.2: an origin is a scheme and an authority, without even a slash behind it.
_ORIGIN = re.compile(r"https?://(.*)", re.ASCII | re.IGNORECASE)
_MAX_LENGTH = 300  # a host name has at most 253 characters
_MAX_PORT = 65535


def host_of_header(value: str) -> str:
    """Return the host in a `Host` header, in lower case and without brackets; an empty str for an invalid header.

    >>> host_of_header("LocalHost:80"), host_of_header("[::1]"), host_of_header("evil.example@localhost")
    ('localhost', '::1', '')
    """
    # Some characters outside ASCII become ASCII letters in lower case.
    match = _AUTHORITY.fullmatch(value.lower()) if len(value) <= _MAX_LENGTH and value.isascii() else None
    if match is None or int(match[3] or 0) > _MAX_PORT:
        return ""
    if match[1] is None:
        return match[2]
    try:
        IPv6Address(match[1])
    except ValueError:
        return ""
    return match[1]


def host_of_origin(value: str) -> str:
    """Return the host in an `Origin` header; an empty str for an invalid one, `null`, and schemes but http and https.

    >>> host_of_origin("https://app.example:8443"), host_of_origin("evil://localhost"), host_of_origin("null")
    ('app.example', '', '')
    """
    match = _ORIGIN.fullmatch(value)
    return host_of_header(match[1]) if match is not None else ""
