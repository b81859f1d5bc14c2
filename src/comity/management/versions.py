"""The versions of the management API, as data: all of them have the same endpoints, unless a row of the table says so.

v3 takes any spelling that JSON-LD allows and answers in EDC's vocabulary. v4 is EDC's with a context document: bodies
name it and their type (`strict`), answers name it. Names that EDC used on the way to v4 are served as what they meant.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import wire

Document = dict[str, Any]
CONTEXT_V4 = "https://w3id.org/edc/connector/management/v2"
EDC_TYPES = frozenset(
    {
        "Asset", "ContractAgreement", "ContractDefinition", "ContractNegotiation", "DataAddress", "DataPlaneInstance",
        "EndpointDataReferenceEntry", "IdResponse", "NegotiationState", "PolicyDefinition", "PolicyEvaluationPlan",
        "PolicyValidationResult", "Secret", "TransferProcess", "TransferState",
    }
)  # fmt: skip
"""Types of documents that EDC's context knows; with it alone the members of others would mean nothing."""


class Version(Struct, frozen=True, kw_only=True):
    """A version: its name in paths, EDC's number for it, the context of answers, whether bodies say what they are."""

    name: str
    number: str
    context: Any
    own_context: Any
    strict: bool


V3 = Version(name="v3", number="3.1.6", context=wire.CONTEXT, own_context=wire.CONTEXT, strict=False)
V4 = Version(
    name="v4", number="4.1.0", context=[CONTEXT_V4], own_context=[CONTEXT_V4, wire.CONTEXT], strict=True
)
VERSIONS = (V3, V4)
SEGMENTS = {"v3": V3, "v4": V4, "v3.1alpha": V3, "v4alpha": V3, "v4beta": V4}
"""Segment of a path -> version."""
UNNAMED = V3
"""The version of a path that names none: some clients write `/contractagreements/{id}`."""


class UnknownVersionError(errors.NotFoundError):
    """The path names a version of the API that is not served."""

    code = "unknown-version"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no version {name[:50]} of the management API",
            hint=f"there is: {', '.join(each.name for each in VERSIONS)}",
        )


def shown(version: Version, answer: Any) -> Any:
    """Return an answer with the context of a version; a document with a context of its own keeps it."""
    if isinstance(answer, list):
        return [shown(version, each) for each in answer]
    if not isinstance(answer, dict) or answer.get("@context") != wire.CONTEXT:
        return answer
    known = answer.get("@type") in EDC_TYPES
    return {**answer, "@context": version.context if known else version.own_context}
