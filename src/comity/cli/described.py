"""Options that say what data is in the words of other standards: its type, its version, what its fields mean.

Catena-X's clients look for these three in a catalog. They are written there as its standards write them.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from comity import errors

TYPE: Final = "dct:type"
VERSION: Final = "https://w3id.org/catenax/ontology/common#version"
SEMANTIC_ID: Final = "https://admin-shell.io/aas/3/0/HasSemantics/semanticId"
_PREFIXES: Final = {"cx-taxo": "https://w3id.org/catenax/taxonomy#"}

Type = Annotated[
    str,
    typer.Option(
        "--type", metavar="IRI", help="What it is: cx-taxo:Submodel, say (dct:type).", show_default=False
    ),
]
Version = Annotated[
    str,
    typer.Option(
        "--version",
        metavar="TEXT",
        help="The version of that standard (cx-common:version).",
        show_default=False,
    ),
]
SemanticId = Annotated[
    str,
    typer.Option(
        "--semantic-id",
        metavar="ID",
        help="What its fields mean: a urn:samm, an IRDI, an IRI (aas-semantics:semanticId).",
        show_default=False,
    ),
]


def properties(kind: str, version: str, semantic_id: str) -> dict[str, Any] | None:
    """Return the properties that the options ask for, as a catalog writes them; None where they say nothing.

    Raises:
        InvalidInputError: the type is no IRI.
    """
    said: dict[str, Any] = {}
    if kind:
        said[TYPE] = {"@id": _iri(kind)}
    if version:
        said[VERSION] = version
    if semantic_id:
        said[SEMANTIC_ID] = {"@id": semantic_id}
    return said or None


def _iri(text: str) -> str:
    prefix, colon, rest = text.partition(":")
    if not (prefix and colon and rest) or any(sign.isspace() for sign in text):
        raise errors.InvalidInputError(
            f"{text!r} is no IRI",
            path="--type",
            hint=f"for example cx-taxo:Submodel, that is {_PREFIXES['cx-taxo']}Submodel",
        )
    return _PREFIXES[prefix] + rest if prefix in _PREFIXES else text
