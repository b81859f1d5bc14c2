"""Which addresses may be connected to: public ones, and what the operator listed.

A partner chooses URLs (callback, endpoint, did:web, `next` link), so each could point into our network.
URLs are checked by their form, and every socket by the address it is about to connect to, which is what counts:
names can resolve to anything and change. The table is IANA's special-purpose registries, and more strictly for
IPv6 only 2000::/3: `ipaddress.is_global` of Python 3.11 lets NAT64, 6to4, fec0:: and multicast pass.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from yarl import URL

from comity import errors

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL: Final = 8192
_LIST_IT: Final = "an operator who means it lists it in outgoing.allow of comity.toml"
_MAX_PORT: Final = 65535
_URL_CHARACTERS: Final = re.compile(r"[!-\[\]-~]+")  # visible ASCII without the backslash
_SECRET_PARTS: Final = re.compile(r"(?<=//)[^/]*@|\?.*", re.DOTALL)  # of a URL, for messages
_NUMERIC_END: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?")
_LABELS: Final = re.compile(
    r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_V4_REFUSED: Final = {
    "this network": ("0.0.0.0/8",),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    "shared (carrier NAT)": ("100.64.0.0/10",),
    "loopback": ("127.0.0.0/8",),
    "link-local": ("169.254.0.0/16",),
    "a cloud's own": ("168.63.129.16/32",),
    "special": ("192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24"),
    "for documentation": ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),
    "for benchmarks": ("198.18.0.0/15",),
    "multicast": ("224.0.0.0/4",),
    "reserved": ("240.0.0.0/4",),
}
_V6_REFUSED: Final = {
    "loopback": ("::1/128",),
    "Teredo": ("2001::/32",),
    "special": ("2001::/23", "2620:4f:8000::/48"),
    "for documentation": ("2001:db8::/32", "3fff::/20"),
    "6to4": ("2002::/16",),
    "NAT64": ("64:ff9b::/96", "64:ff9b:1::/48"),
    "link-local": ("fe80::/10",),
    "site-local": ("fec0::/10",),
    "private": ("fc00::/7",),
    "multicast": ("ff00::/8",),
}
_REFUSED: Final[tuple[tuple[str, Network], ...]] = tuple(
    (kind, ipaddress.ip_network(network))
    for table in (_V4_REFUSED, _V6_REFUSED)
    for kind, networks in table.items()
    for network in networks
)
_V6_GLOBAL: Final = ipaddress.IPv6Network("2000::/3")


class RefusedAddressError(errors.PermanentDeliveryError):
    """The guard does not let a request go there; nothing was sent."""

    code = "refused-address"


class Guard:
    """Says where requests may go; `allow` lists networks (`10.0.0.0/8`), addresses and host names.

    `insecure` is the development flag: http and loopback are then taken as well, private networks are not. `plain` are
    hosts that are spoken to by http, too: what they answer is signed and nobody's secret.
    """

    def __init__(
        self, allow: Sequence[str] = (), *, insecure: bool = False, plain: Sequence[str] = ()
    ) -> None:
        self.insecure = insecure
        self._plain = {each.lower() for each in plain}
        self._networks: list[Network] = []
        self._hosts: set[str] = set()
        for entry in allow:
            self._add(entry.strip())
        self._origin = lru_cache(maxsize=1024)(self._check_origin)
        self._reason = lru_cache(maxsize=4096)(self._find_reason)

    def _add(self, entry: str) -> None:
        try:
            self._networks.append(ipaddress.ip_network(entry.strip("[]")))
        except ValueError:
            host = entry.lower().rstrip(".")
            if not _LABELS.fullmatch(host) or _NUMERIC_END.fullmatch(host):
                raise errors.SettingsError(
                    f"{entry[:100]!r} is neither a network, an address nor a host name",
                    hint="write 10.1.0.0/16, 10.1.2.3 or partner.example",
                ) from None
            self._hosts.add(host)

    def lists_host(self, host: str) -> bool:
        """Say whether the operator listed this host name: it may then resolve to any address."""
        return host.lower().rstrip(".") in self._hosts

    def check_url(self, url: str) -> URL:
        """Check a URL's form and, where its host is an address, that address; return it parsed once for all.

        Raises:
            RefusedAddressError: a PermanentDeliveryError with the code `refused-address`.
        """
        if not 0 < len(url) <= MAX_URL or not _URL_CHARACTERS.fullmatch(url):
            raise _refused(url, f"it must have 1 to {MAX_URL} visible ASCII characters and no backslash")
        try:
            parsed = URL(url, encoded=True)  # what is sent is what was given, not another spelling of it
            userinfo = "@" in url.partition("://")[2].partition("/")[0].partition("?")[0]
            self._origin(parsed.scheme, parsed.raw_host or "", parsed.explicit_port, userinfo)
        except errors.PermanentDeliveryError as error:
            raise _refused(url, error.reason, error.hint) from None
        except ValueError as error:
            raise _refused(url, f"it is malformed ({error})") from None
        if "#" in url:
            raise _refused(url, "it has a fragment")
        return parsed

    def _check_origin(self, scheme: str, host: str, port: int | None, userinfo: bool) -> None:  # noqa: FBT001
        if scheme not in {"http", "https"}:
            raise _refused(scheme, "only https is taken")
        if scheme == "http" and not self.insecure and host.lower() not in self._plain:
            raise _refused(
                scheme, "http is not encrypted", "use https, or for one machine development.insecure"
            )
        if userinfo:
            raise _refused(host, "it has a user name or password in it")
        if not host or (port is not None and not 0 < port <= _MAX_PORT):
            raise _refused(host, "it needs a host and a port between 1 and 65535")
        self._check_host(host.lower())

    def _check_host(self, host: str) -> None:
        if ":" in host:
            self.check_address(host)
        elif _NUMERIC_END.fullmatch(host):
            try:
                address = ipaddress.IPv4Address(host)
            except ValueError:
                raise _refused(host, "an IPv4 address is written as four decimal numbers") from None
            self.check_address(address)
        elif not self.lists_host(host):
            name = host.rstrip(".")
            if not _LABELS.fullmatch(name):
                raise _refused(host, "its host is not a DNS name")
            if (name == "localhost" or name.endswith(".localhost")) and not self._loopback_allowed():
                raise _refused(host, "it is loopback", _LIST_IT)

    def _loopback_allowed(self) -> bool:
        return self._reason("127.0.0.1") is None or self._reason("::1") is None

    def check_address(self, ip: str | Address) -> None:
        """Check one IP address, as a text (also with an IPv6 zone) or an object.

        Raises:
            RefusedAddressError: it is not public and not listed, or is not an address.
        """
        reason = self._reason(str(ip))
        if reason is not None:
            raise _refused(str(ip), f"it is {reason}", _LIST_IT)

    def _find_reason(self, text: str) -> str | None:
        try:
            address: Address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return "not an IP address"
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            if self._listed(address):
                return None
            address = address.ipv4_mapped
        if self._listed(address) or (self.insecure and address.is_loopback):
            return None
        for kind, network in _REFUSED:
            if address in network:
                return kind
        if isinstance(address, ipaddress.IPv6Address) and address not in _V6_GLOBAL:
            return "not a public IPv6 address"
        return None

    def _listed(self, address: Address) -> bool:
        return any(address in network for network in self._networks)

    def open_socket(self, address: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        """Make the socket for one resolved address, if it may be connected to: aiohttp's `socket_factory`."""
        family, kind, protocol, _, target = address
        self.check_address(str(target[0]))
        return socket.socket(family, kind, protocol)


def _refused(what: str, why: str, hint: str = "") -> RefusedAddressError:
    shown = _SECRET_PARTS.sub("", what)[:200]
    return RefusedAddressError(f"{shown!r} is refused: {why}", reason=why, hint=hint)
