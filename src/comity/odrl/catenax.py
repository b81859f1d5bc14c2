"""Catena-X's policy vocabulary (CX-0152, profile 2025/9, and the earlier one of 24.05): each word's meaning here.

Names are read in both namespaces, with any prefix, and written as full names of 2025/9: those mean the same under every
JSON-LD context. Values are read without their `:1`, in another case, or as the names their schema has for them. A word
that other connectors accept without looking at it is contract-only here, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from comity.odrl import operators, values, vocabulary
from comity.odrl.operand import ATTESTED, CONTRACT, NODE, OBLIGATION, PROHIBITION, PROVIDER, Operand

NAMESPACE: Final = "https://w3id.org/catenax/2025/9/policy/"
AGREEMENT_END: Final = "comity:agreementEnd"
DELETION: Final = "cx.data.deletion:1"
KEEPING: Final = "cx.data.keeping:1"
THIRD_PARTY: Final = "cx.thirdParty.forbidden:1"
ACCESS: Final = "access"
_SPELLINGS: Final = (NAMESPACE, "https://w3id.org/catenax/policy/", "cx-policy:")
_SETS: Final = frozenset({"isAnyOf", "isAllOf", "isNoneOf"})

#: What a restriction of use forbids, as actions of ODRL; the last two forbid nothing that software sees.
RESTRICTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    THIRD_PARTY: ("distribute", "transfer", "grantUse"),
    "cx.manipulation.forbidden:1": ("modify",),
    "cx.derivations.forbidden:1": ("derive",),
    "cx.extraordinaryAnalytics.forbidden:1": (),
    "cx.dataProviderRemoval.forbidden:1": (),
}


def _restricts(asked: Any, right: Any) -> operators.Verdict:
    """Tell whether an action that is asked about is one of those that the restrictions forbid."""
    forbidden = [action for code in right for action in RESTRICTIONS[code]]
    return any(vocabulary.covers(action, each) for action in forbidden for each in asked)


def _times(right: object) -> values.Values | None:
    """Read how often data may be had: once, or without limit."""
    return {"cx.dataFrequency.once:1": ((1, 1),), "cx.dataFrequency.unlimited:1": ((0, 10**40),)}.get(
        str(right)
    )


def _operand(name: str, **more: Any) -> Operand:
    return Operand(**{"name": name, "kind": "text", "written": NAMESPACE + name, **more})


def _attribute(name: str, what: str) -> Operand:
    return _operand(
        name,
        enforced=PROVIDER,
        meaning=f"This provider checks before each agreement, transfer and request for data {what}.",
        source=f"what the list of partners states as the partner's {name}",
    )


def _contract(name: str, about: str, *codes: str, **more: Any) -> Operand:
    return _operand(
        name,
        enforced=CONTRACT,
        meaning=f"It says {about}. Both sides are bound by it, and no software sees to it.",
        source="nothing: it is agreed, and not checked",
        codes=frozenset(codes),
        **more,
    )


_AT_MOST: Final = {"eq": operators.INTERVAL["lteq"], "lteq": operators.INTERVAL["lteq"]}
_REGIONS: Final = tuple(
    f"cx.region.{name}:1"
    for name in ("all", "europe", "northAmerica", "southAmerica", "africa", "asia", "oceania", "antarctica")
)

OPERANDS: Final = (
    _operand(
        "Membership",
        enforced=PROVIDER,
        meaning="This provider checks before each agreement, transfer and request for data that it has written down "
        "the partner's membership.",
        source="what the list of partners states as the partner's Membership",
        codes=frozenset({"active"}),
    ),
    _attribute("BusinessPartnerNumber", "that this number is written down for the partner"),
    _attribute("BusinessPartnerGroup", "that it has put the partner into such a group"),
    _attribute("FrameworkAgreement", "that it has written down that the partner signed this agreement"),
    _operand(
        "UsagePurpose",
        asks="purpose",
        enforced=NODE,
        meaning="This provider hands out to partners with this purpose only; the receiver's own Comity asks for the "
        "purpose of each use, refuses another one and writes it down.",
        source="the purposes that the list of partners states for the partner",
    ),
    _operand(
        "DataUsageEndDate",
        kind="time",
        asks="dateTime",
        tests=_AT_MOST,
        enforced=PROVIDER,
        meaning="This provider hands nothing out after it; the receiver's own Comity locks what it holds.",
        source="the time at this connector",
    ),
    _operand(
        "DataUsageEndDurationDays",
        kind="duration",
        asks="elapsedTime",
        tests=_AT_MOST,
        read=values.read_days,
        enforced=PROVIDER,
        meaning="This provider hands nothing out after so many days from the agreement on.",
        source="the time since the agreement was made",
    ),
    _operand(
        "DataFrequency",
        kind="number",
        asks="count",
        tests={"eq": operators.INTERVAL["lteq"]},
        read=_times,
        enforced=PROVIDER,
        meaning="This provider counts the transfers of the asset to the partner and begins no further one.",
        source="how many transfers of the asset the partner was given under all its agreements, this one included",
    ),
    _operand(
        "UsageRestriction",
        asks="action",
        tests={"isAllOf": _restricts, "isAnyOf": _restricts, "eq": _restricts},
        codes=frozenset(RESTRICTIONS),
        rules=(PROHIBITION,),
        enforced=NODE,
        meaning="The receiver's own Comity offers the data, and what is made of them, to no third party; changes, "
        "derived data and analyses are not seen by software.",
        source="what is to be done with the data",
    ),
    _operand(
        "ContractTermination",
        duty=True,
        codes=frozenset({DELETION, KEEPING}),
        enforced=ATTESTED,
        meaning="The receiver's people delete the data when the agreement ends and its connector signs a receipt; both "
        "sides list what is overdue.",
        source="what has happened to the agreement",
    ),
    _contract("DataUsageEndDefinition", "that use has no end", "cx.dataUsageEnd.unlimited:1"),
    _contract("DataProvisioningEndDate", "until when the provider promises to provide the data", kind="time"),
    _contract(
        "DataProvisioningEndDurationDays",
        "for how many days the provider promises to provide the data",
        kind="duration",
        read=values.read_days,
        rules=(OBLIGATION,),
    ),
    _contract("ContractReference", "which written contract stands beside this one"),
    _contract(
        "Precedence",
        "which contract prevails",
        "cx.precedence.contractReference:1",
        "cx.precedence.rcAgreement:1",
    ),
    _contract("AffiliatesBpnl", "which affiliates of the receiver may use the data, by number"),
    _contract("AffiliatesRegion", "in which regions affiliates of the receiver may use the data", *_REGIONS),
    _contract(
        "ManagedLegalEntityBpnl", "which entities that the receiver manages may use the data, by number"
    ),
    _contract(
        "ManagedLegalEntityRegion",
        "in which regions entities that the receiver manages may use the data",
        *_REGIONS,
    ),
    _contract(
        "ConfidentialInformationMeasures",
        "that measures keep the data confidential",
        "cx.confidentiality.measures:1",
    ),
    _contract(
        "ConfidentialInformationSharing",
        "with whom confidential data may be shared",
        "cx.sharing.affiliates:1",
        "cx.sharing.managedLegalEntity:1",
    ),
    _contract(
        "VersionChanges",
        "which changes of the data's version are announced",
        "cx.versionChanges.minor:1",
        "cx.versionChanges.major:1",
    ),
    _contract("ExclusiveUsage", "that nobody else may use the data", "cx.exclusiveUsage.dataConsumer:1"),
    _contract(
        "Warranty",
        "what is warranted",
        "cx.warranty.none:1",
        "cx.warranty.contractReference:1",
        "cx.warranty.dataQualityIssues:1",
    ),
    _contract("WarrantyDefinition", "until when is warranted", "cx.warranty.contractEndDate:1"),
    _contract("WarrantyDurationMonths", "for how many months is warranted", kind="number"),
    _contract("Liability", "for what there is liability", "cx.grossNegligence:1", "cx.slightNegligence:1"),
    _contract("JurisdictionLocation", "which place's courts decide"),
    _contract(
        "JurisdictionLocationReference",
        "where to read which place's courts decide",
        "cx.location.dataConsumer:1",
        "cx.location.contractReference:1",
    ),
)

#: Those whose fact is what is stated of the partner.
ATTRIBUTES: Final = ("Membership", "BusinessPartnerNumber", "BusinessPartnerGroup", "FrameworkAgreement")
NAMES: Final = frozenset(each.name for each in OPERANDS)
_NAMES: Final = {each.lower(): each for each in NAMES}
_SCHEMA_NAMES: Final = {
    "".join(part[:1].upper() + part[1:] for part in code[3:-2].split(".")) + "RightOperand": code
    for code in RESTRICTIONS
}
_CODES: Final = {
    spelling.lower(): code
    for each in OPERANDS
    for code in each.codes
    for spelling in (code, code.removesuffix(":1"))
} | {name.lower(): code for name, code in _SCHEMA_NAMES.items()}
_CODES.update(
    {
        f"cx.datafrequency.{each}{end}": f"cx.dataFrequency.{each}:1"
        for each in ("once", "unlimited")
        for end in ("", ":1")
    }
)


def operand(name: str) -> str:
    """Return a left operand of Catena-X in any spelling as its bare name; other names come back unchanged."""
    return _NAMES.get(_bare(name).lower(), name)


def action(name: str) -> str:
    """Return Catena-X's action in any spelling as its bare name; other names come back unchanged."""
    return ACCESS if _bare(name) == ACCESS else name


def _bare(name: str) -> str:
    for each in _SPELLINGS:
        if name.startswith(each):
            return name[len(each) :]
    return name


def right(known: Operand, operator: str, right: object) -> object:
    """Return a right operand of Catena-X in the form that its schemas ask for; what is not known stays."""
    if isinstance(right, list):
        return [_value(item) for item in right]
    found = _value(values.canonical(right))
    return [found] if operator in _SETS and known.kind == "text" else found


def _value(item: object) -> object:
    if not isinstance(item, str):
        return item
    found = _CODES.get(_bare(item).lower(), item)
    return f"{found}:1" if found.startswith("cx.") and ":" not in found else found
