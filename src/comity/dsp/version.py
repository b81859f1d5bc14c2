"""The version endpoint's document: which versions this connector speaks, and where.

Source: Dataspace Protocol 2025-1, "Exposure of Dataspace Protocol Versions": unversioned, unauthenticated, no context.
"""

from __future__ import annotations

from typing import Any

from comity.dsp import terms


def document(participant_id: str) -> dict[str, Any]:
    """Return the answer of `/.well-known/dspace-version`; paths count from where that lies."""
    entry: dict[str, Any] = {"version": terms.VERSION, "path": terms.VERSION_PATH, "binding": "HTTPS"}
    if participant_id.startswith("did:web:"):
        entry["identifierType"] = "did:web"
    entry["serviceId"] = participant_id
    return {"protocolVersions": [entry]}
