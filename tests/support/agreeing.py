"""A framework agreement between two parties, open to a third; tests change what they are about."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from comity.framework import document as documents

A, B, C = (f"did:web:{each}.example" for each in "abc")
ID = "urn:comity:framework:01234567-1111-7111-a111-0123456789ab"
TEXTS = {"text.en.md": b"# Joint production\n", "text.fr.md": b"# Production commune\n"}
DIGESTS = {name: sha256(text).hexdigest() for name, text in TEXTS.items()}


FREE = {"permission": [{"action": "use"}], "prohibition": [{"action": "distribute"}]}
"""Release rules that hold for any partner."""


def party(participant_id: str) -> dict[str, Any]:
    return {
        "participantId": participant_id,
        "name": f"Ministry at {participant_id}"[:60],
        "signingRole": "government",
        "signatories": [{"name": "N. N.", "role": "Director"}],
    }


def document(parties: tuple[str, ...] | list[Any] = (A, B), **changed: Any) -> dict[str, Any]:
    listed = [party(each) if isinstance(each, str) else each for each in parties]
    first, second = (each["participantId"] for each in listed[:2])
    said = {
        "id": ID,
        "version": 1,
        "title": "Joint production of brackets",
        "languageVersions": [
            {
                "language": name.split(".")[1],
                "file": name,
                "mediaType": "text/markdown",
                "sha256": DIGESTS[name],
            }
            for name in TEXTS
        ],
        "parties": listed,
        "purpose": ["production:programme-1"],
        "programmes": ["programme-1"],
        "needs": [_promise("N1", first)],
        "commitments": [_promise("C1", second), _promise("C2", first)],
        "territory": ["AA", "BB"],
        "validity": {"from": "2020-01-01", "until": "2099-12-31"},
        "releaseRules": {
            "permission": [
                {
                    "action": "use",
                    "constraint": [
                        {"leftOperand": "spatial", "operator": "isAnyOf", "rightOperand": ["AA", "BB"]}
                    ],
                }
            ],
            "prohibition": [{"action": "distribute"}],
        },
        "accession": {"openTo": [C]},
    }
    return {**said, **changed}


def _promise(name: str, party_id: str) -> dict[str, str]:
    return {
        "id": name,
        "party": party_id,
        "what": "bracket 17",
        "quantity": "1200",
        "unit": "piece",
        "by": "2027-06-30",
    }


URN = documents.urn(document())


def write(folder: Path) -> Path:
    """Write the texts into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in TEXTS.items():
        (folder / name).write_bytes(text)
    return folder
