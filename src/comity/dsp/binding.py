"""The HTTPS binding: how ids stand in paths, how an address is extended, which statuses an error has.

Source: Dataspace Protocol 2025-1, "Contract Negotiation HTTPS Binding" and "Transfer Process HTTPS Binding".
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from comity import errors

_VISIBLE = re.compile(r"[!-~]+")  # urlsplit drops line ends and tabs without a word


def segment(pid: str) -> str:
    """Write a pid as one path segment; dots alone would climb."""
    return quote(pid, safe=":@") if pid.strip(".") else pid.replace(".", "%2E")


def join(address: str, path: str) -> str:
    """Extend a base or callback address, with or without a slash at its end."""
    return address.rstrip("/") + path


def check_address(address: str, *, path: str) -> None:
    """Refuse a callback or base address that no message could be sent to.

    Raises:
        InvalidInputError: at `path`.
    """
    if not _VISIBLE.fullmatch(address) or not _usable(address):
        raise errors.InvalidInputError(
            "the address must be an https URL without user, query or fragment", path=path
        )


def _usable(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return (
            parts.scheme in {"https", "http"}
            and bool(parts.hostname)
            and parts.port != 0
            and "@" not in parts.netloc
            and not (parts.query or parts.fragment)
        )
    except ValueError:  # its host or port cannot be read
        return False
