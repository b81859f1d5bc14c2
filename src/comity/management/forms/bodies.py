"""The forms of bodies and query parameters of the management API that EDC has, in v3 and v4.

What is `strictly` needed, v4 asks for, as EDC's schemas of 0.18 do; ours alone are in `own`.
"""

from __future__ import annotations

from comity.management.forms.form import ALWAYS, Form, may, must, strictly

MAY = "may"
PROTOCOL = "dataspace-protocol-http:2025-1"
_PARTY = "https://provider.example/dsp/2025-1"
_OFFER_RULES = {"permission": [{"action": "use"}]}
_TO_PARTNER = {
    "counterPartyAddress": strictly("text", "the partner's DSP base address; else the one on the list"),
    "protocol": may("text", f"{PROTOCOL}, or left out"),
    "profile": may("text", "another name for the protocol; v4 wants exactly one of both"),
}
_EITHER = ("protocol", "profile")
_CALLBACKS = may("[CallbackAddress]", "who is told of each change of state")

BODIES: dict[str, Form] = {
    "Asset": Form(
        text="Something that can be offered.",
        types=("Asset", "CatalogAsset"),
        identified=MAY,
        members={
            "properties": strictly(
                "object", "what partners are told, and what selectors and filters look at"
            ),
            "privateProperties": may("object", "what only your own people see"),
            "dataAddress": may("DataAddress", "where the data is; a new asset needs it"),
        },
        example={
            "@id": "bracket-17",
            "properties": {"name": "Bracket 17"},
            "dataAddress": {"type": "HttpData", "baseUrl": "https://pdm.example/parts/17.step"},
        },
    ),
    "DataAddress": Form(
        text="Where data is: HttpData with baseUrl, File with path, or a bucket that the settings list.",
        nested=True,
        members={
            "type": must("text", "HttpData, File, AmazonS3, AzureStorage or GoogleCloudStorage"),
            "baseUrl": may("text", "HttpData: the address of your back end"),
            "path": may("text", "File: an absolute path; HttpData: what is added to the address"),
        },
    ),
    "PolicyDefinition": Form(
        text="A policy under a name; every term must be one that is enforced.",
        types=("PolicyDefinition",),
        identified=MAY,
        members={
            "policy": must("Policy", "ODRL"),
            "privateProperties": may("object", "what only your own people see"),
        },
        example={"@id": "use", "policy": {"@type": "Set", **_OFFER_RULES}},
    ),
    "Policy": Form(
        text="An ODRL policy.",
        types=("Set",),
        nested=True,
        members={
            "permission": may("rules", "what is allowed"),
            "prohibition": may("rules", "what is forbidden"),
            "obligation": may("rules", "what has to be done"),
        },
    ),
    "ContractDefinition": Form(
        text="Which assets are shown to whom, and agreed under which policy.",
        types=("ContractDefinition",),
        identified=MAY,
        members={
            "accessPolicyId": must("text", "the policy that decides who sees them"),
            "contractPolicyId": must("text", "the policy that is offered"),
            "assetsSelector": may("[Criterion]", "all have to match; none: every asset"),
            "approval": may("Approvers", "ours: who has to approve; {} nobody, left out: as it is"),
            "privateProperties": may("object", "what only your own people see"),
        },
        example={
            "@id": "brackets",
            "accessPolicyId": "use",
            "contractPolicyId": "use",
            "assetsSelector": [
                {"@type": "Criterion", "operandLeft": "id", "operator": "=", "operandRight": "bracket-17"}
            ],
        },
    ),
    "Criterion": Form(
        text="What something has to match.",
        types=("Criterion",),
        nested=True,
        members={
            "operandLeft": must(
                "text", "a field or a path; of one that is not there the answer names those that are"
            ),
            "operator": must("text", "such as = or in"),
            "operandRight": must("any", "a value, for in and not in a list"),
        },
    ),
    "QuerySpec": Form(
        text="Which of many, in which order; all of it may be left out, the body too.",
        types=("QuerySpec",),
        members={
            "offset": may("number", "how many are skipped, 0"),
            "limit": may("number", "1 to 1000, 50"),
            "sortField": may("text", "a field, as in a filter"),
            "sortOrder": may("text", "ASC or DESC"),
            "filterExpression": may("[Criterion]", "all have to match"),
        },
        example={"limit": 10, "sortField": "createdAt", "sortOrder": "DESC"},
    ),
    "CatalogRequest": Form(
        text="Whose catalog, and which part of it.",
        types=("CatalogRequest",),
        either=_EITHER,
        members={
            "counterPartyId": must("text", "the partner's participant id"),
            **_TO_PARTNER,
            "querySpec": may("QuerySpec", "which datasets, in which order"),
        },
        example={
            "counterPartyId": "did:web:provider.example",
            "counterPartyAddress": _PARTY,
            "protocol": PROTOCOL,
        },
    ),
    "DatasetRequest": Form(
        text="Which dataset of whom.",
        types=("DatasetRequest",),
        identified=ALWAYS,
        either=_EITHER,
        members={"counterPartyId": must("text", "the partner's participant id"), **_TO_PARTNER},
        example={
            "@id": "bracket-17",
            "counterPartyId": "did:web:provider.example",
            "counterPartyAddress": _PARTY,
            "protocol": PROTOCOL,
        },
    ),
    "ContractRequest": Form(
        text="An agreement that you want, about an offer as the partner's catalog has it.",
        types=("ContractRequest",),
        either=_EITHER,
        members={
            "policy": must("Offer", "the offer"),
            "counterPartyId": may("text", "the partner's participant id; else the offer's assigner"),
            **_TO_PARTNER,
            "callbackAddresses": _CALLBACKS,
        },
        example={
            "counterPartyAddress": _PARTY,
            "protocol": PROTOCOL,
            "policy": {
                "@id": "offer-1",
                "@type": "Offer",
                "assigner": "did:web:provider.example",
                "target": "bracket-17",
                **_OFFER_RULES,
            },
        },
    ),
    "Offer": Form(
        text="An ODRL offer.",
        types=("Offer",),
        nested=True,
        identified=ALWAYS,
        members={
            "assigner": strictly("text", "who offers"),
            "target": must("text", "the dataset's id"),
            "permission": may("rules", "what is allowed"),
            "prohibition": may("rules", "what is forbidden"),
            "obligation": may("rules", "what has to be done"),
        },
    ),
    "CallbackAddress": Form(
        text="Who is told of changes of state.",
        types=("CallbackAddress",),
        nested=True,
        members={
            "uri": must("text", "where to"),
            "events": strictly("texts", "which, by the beginning of their names"),
            "transactional": strictly("flag", "false: it is told after the change is stored"),
            "authKey": may("text", "the name of a header"),
            "authCodeId": may("text", "the secret that holds its value"),
        },
    ),
    "ContractOffer": Form(
        text="An offer to a partner that did not ask.",
        members={
            "counterPartyId": must("text", "the partner's participant id"),
            "policy": must("object", "the terms, with target"),
            "counterPartyAddress": may("text", "the partner's DSP base address; else the one on the list"),
        },
        example={
            "counterPartyId": "did:web:consumer.example",
            "policy": {"target": "bracket-17", **_OFFER_RULES},
        },
    ),
    "CounterOffer": Form(
        text="Other terms for a negotiation that goes on.",
        members={"policy": must("object", "the terms")},
        example={"policy": _OFFER_RULES},
    ),
    "TransferRequest": Form(
        text="Data that you want under an agreement.",
        types=("TransferRequest",),
        either=_EITHER,
        members={
            "contractId": must("text", "the agreement"),
            "transferType": must("text", "HttpData-PULL or HttpData-PUSH"),
            **_TO_PARTNER,
            "counterPartyId": may("text", "if given, the agreement's provider"),
            "assetId": may("text", "if given, the agreement's asset"),
            "dataDestination": may("DataAddress", "a File with the path of a folder: the connector receives"),
            "purpose": may("text", "ours: what the data is for; the partner is told"),
            "revision": may("number", "ours: which revision of a package; else the newest released one"),
            "callbackAddresses": _CALLBACKS,
        },
        example={
            "counterPartyAddress": _PARTY,
            "protocol": PROTOCOL,
            "contractId": "agreement-1",
            "transferType": "HttpData-PULL",
        },
    ),
    "TerminateNegotiation": Form(
        text="Why a negotiation ends.",
        types=("TerminateNegotiation",),
        members={"reason": may("text", "for the partner")},
        example={"reason": "the order was cancelled"},
    ),
    "TerminateTransfer": Form(
        text="Why a transfer ends.",
        types=("TerminateTransfer",),
        members={"reason": may("text", "for the partner")},
        example={"reason": "the order was cancelled"},
    ),
    "SuspendTransfer": Form(
        text="Why a transfer pauses.",
        types=("SuspendTransfer",),
        members={"reason": may("text", "for the partner")},
        example={"reason": "maintenance"},
    ),
}
"""Name -> form of a body; `own` has those that EDC does not have."""

PARAMETERS = {
    "after": may("number", "the row or event after which to begin, 0"),
    "chain": may("number", "which chain of the evidence, 0: replicas have one each"),
    "processId": may("text", "only of this negotiation or transfer"),
    "types": may("text", "beginnings of the names of events, separated by commas"),
    "limit": may("number", "how many, 1 to 1000, 100"),
    "counterPartyId": may("text", "the partner whose asset it is; else it is ours"),
    "revision": may("number", "which revision; else the newest"),
    "since": may("number", "the revision to compare with; else the one before"),
    "transferId": may("text", "only what this transfer brought"),
    "flatten": may("flag", "false: catalogs are returned as partners wrote them"),
    "purpose": may("text", "what it is opened for"),
    "person": may("text", "who opens it"),
    "nationality": may("text", "that person's nationalities, separated by commas"),
    "export": may("flag", "true: what is read leaves the node, and is written down as that; false"),
    "auto_refresh": may("flag", "with a new token where the one that is there ends; false"),
}
"""Query parameters by their names."""
