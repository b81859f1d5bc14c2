"""The roles of an API key: each may do what the ones before it may.

A viewer reads, an operator changes what is offered and moves processes, an admin decides who may do so.
"""

from __future__ import annotations

VIEWER, OPERATOR, ADMIN = "viewer", "operator", "admin"
ROLES = (VIEWER, OPERATOR, ADMIN)
"""From the least to the most."""


def suffices(role: str, needed: str) -> bool:
    """Return whether a caller with `role` may use what needs `needed`."""
    return ROLES.index(role) >= ROLES.index(needed)
