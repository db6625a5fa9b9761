# SPDX-License-Identifier: MIT
"""Which URLs an agent may register, and which ones the platform calls."""

from __future__ import annotations

import ipaddress
import socket
import urllib.parse

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NEVER = [ipaddress.ip_network(text) for text in (
    "127.0.0.0/8", "169.254.0.0/16", "fe80::/10", "::1/128", "192.0.2.0/24", "198.51.100.0/24",
    "203.0.113.0/24", "100.64.0.0/10", "224.0.0.0/4", "fc00::/8", "2001:db8::/32")]
_PRIVATE = [ipaddress.ip_network(text) for text in (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8")]
_UNDIALABLE = [network for network in _NEVER if not network.is_loopback]


class BadUrl(Exception):
    """With a sentence that the later generation passes on."""


def host_of(url: str) -> str:
    """The host of an http(s) URL as it was written; raises BadUrl."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadUrl("url is not valid") from None
    if parts.scheme not in ("http", "https"):
        raise BadUrl("url scheme must be http or https")
    host = parts.netloc.rpartition("@")[2]
    if port is not None or host.endswith(":"):
        host = host.rpartition(":")[0]
    if not host or any(character.isspace() for character in host):
        raise BadUrl("url has no host")
    return host


def _addresses(host: str) -> list[Address]:
    literal = host[1:-1] if host.startswith("[") else host
    try:
        found = [ipaddress.ip_address(literal)]
    except ValueError:
        try:
            entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise BadUrl("url host does not resolve") from None
        found = [ipaddress.ip_address(entry[4][0].split("%")[0]) for entry in entries]
    return [getattr(address, "ipv4_mapped", None) or address for address in found]


def _within(address: Address, networks: list) -> bool:
    return any(address in network for network in networks
               if network.version == address.version)


def check_registrable(url: str, *, saas: bool) -> None:
    """May ask the resolver, so not to be called under a lock."""
    host = host_of(url)
    if host == "localhost":
        return
    blocked = _NEVER if saas else _NEVER + _PRIVATE
    for address in _addresses(host):
        if _within(address, blocked):
            raise BadUrl("url resolves to a blocked address")


def is_dialable(url: str, *, strict: bool, saas: bool) -> bool:
    """Whether the platform calls it. A development platform (not strict) calls its own host."""
    try:
        addresses = _addresses(host_of(url))
    except BadUrl:
        return False
    for address in addresses:
        if address.is_unspecified or _within(address, _UNDIALABLE):
            return False
        if strict and (address.is_loopback or (not saas and _within(address, _PRIVATE))):
            return False
    return True
