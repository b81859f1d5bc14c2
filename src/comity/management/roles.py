"""The roles of an API key: each may do what the ones before it may.

A viewer reads, an approver also decides where the name of the key is asked for, an operator changes what is offered and
moves processes, an admin decides who may do so.
"""

from __future__ import annotations

VIEWER, APPROVER, OPERATOR, ADMIN = "viewer", "approver", "operator", "admin"
ROLES = (VIEWER, APPROVER, OPERATOR, ADMIN)
"""From the least to the most."""


def suffices(role: str, needed: str) -> bool:
    """Return whether a caller with `role` may use what needs `needed`."""
    return ROLES.index(role) >= ROLES.index(needed)
