"""The forms of what EDC has beside assets, negotiations and transfers, and of what Tractus-X adds to it.

Secrets, plans of policies, retired agreements, data planes, connectors and the versions that they speak.
"""

from __future__ import annotations

from comity.management.forms.form import ALWAYS, CREATED, Form, may, must

MAY = "may"

BODIES: dict[str, Form] = {
    "Secret": Form(
        text="A credential under a name, for a back end or a webhook.",
        types=("Secret",),
        identified=MAY,
        members={"value": must("text", "1 to 65,536 characters")},
        example={"@id": "back-end-key", "value": "the key that the back end asks for"},
    ),
    "PolicyEvaluationPlanRequest": Form(
        text="In which scope a policy is to be looked at.",
        types=("PolicyEvaluationPlanRequest",),
        members={
            "policyScope": must("text", "catalog, contract.negotiation, transfer.process or policy.monitor")
        },
        example={"policyScope": "contract.negotiation"},
    ),
    "AgreementsRetirementEntry": Form(
        text="An agreement under which nothing is to be transferred any more.",
        members={
            "agreementId": must("text"),
            "tx:reason": must("text", "why; both sides are told"),
        },
        example={"agreementId": "agreement-1", "tx:reason": "The part is no longer made."},
    ),
    "ConnectorParamsDiscoveryRequest": Form(
        text="A participant, and where its connector is.",
        members={
            "counterPartyId": may("text", "its id"),
            "tx:bpnl": may("text", "its id, as older clients name it"),
            "counterPartyAddress": may(
                "text", "root, version endpoint or DSP base address; else the partner's"
            ),
        },
        example={
            "counterPartyId": "did:web:partner.example",
            "counterPartyAddress": "https://partner.example",
        },
    ),
    "ConnectorServiceDiscoveryRequest": Form(
        text="A participant whose connectors are sought.",
        members={
            "counterPartyId": must("text", "its DID"),
            "tx:knownConnectors": may("texts", "addresses beside those of its DID document"),
        },
        example={"counterPartyId": "did:web:partner.example"},
    ),
    "ProtocolVersionsRequest": Form(
        text="A participant, and where its connector is.",
        members={
            "counterPartyId": must("text"),
            "counterPartyAddress": may(
                "text", "root, version endpoint or DSP base address; else the partner's"
            ),
        },
        example={
            "counterPartyId": "did:web:partner.example",
            "counterPartyAddress": "https://partner.example",
        },
    ),
    "DataPlaneInstance": Form(
        text="A data plane that somebody wants to register; it is refused, whatever it is.",
        members={"dataplaneId": may("text"), "endpoint": may("text"), "transferTypes": may("texts")},
        example={"dataplaneId": "plane-1", "endpoint": "https://plane.example", "transferTypes": []},
    ),
}
ANSWERS: dict[str, Form] = {
    "EndpointDataReferenceEntry": Form(
        text="A transfer that runs for us, and whose data can be fetched; its id is the transfer's.",
        identified=ALWAYS,
        members={
            "transferProcessId": must("text"),
            "agreementId": must("text"),
            "contractNegotiationId": may("text"),
            "assetId": must("text"),
            "providerId": must("text"),
            "createdAt": must("number", "when the address came, in milliseconds since 1970"),
        },
    ),
    "Secret": Form(
        text="A credential, with its value.",
        identified=ALWAYS,
        members={"value": must("text"), "createdAt": CREATED},
    ),
    "PolicyValidationResult": Form(
        text="Whether every term of a policy is one that is enforced here.",
        members={"isValid": must("flag"), "errors": must("texts", "place and reason of each that is not")},
    ),
    "PolicyEvaluationPlan": Form(
        text="How a policy is evaluated in a scope, term by term; every step says in `evaluation` what decides it.",
        members={
            "policyDefinitionId": must("text"),
            "policyScope": must("text"),
            "evaluation": must("text", "when it is evaluated"),
            "preValidators": must("texts"),
            "permissionSteps": must("objects"),
            "prohibitionSteps": must("objects"),
            "obligationSteps": must("objects"),
            "postValidators": must("texts"),
        },
    ),
    "PolicyExplanation": Form(
        text="Which rule decides, term by term, and with which of our facts.",
        members={
            "participant": must("text"),
            "assetId": must("text"),
            "at": must("number", "the time that was asked about, in milliseconds since 1970"),
            "explanations": must(
                "objects", "one a policy: about, allowed, because, reasons, rules with their terms"
            ),
        },
    ),
    "PolicySimulation": Form(
        text="What every partner gets of an asset, now and if something were otherwise.",
        members={
            "assetId": must("text"),
            "partners": must("objects", "participant, name, before, after, changes"),
        },
    ),
    "AgreementsRetirementEntry": Form(
        text="A retired agreement.",
        identified=ALWAYS,
        members={
            "agreementId": must("text"),
            "contractNegotiationId": must("text"),
            "tx:reason": must("text"),
            "tx:agreementRetirementDate": must("number", "in seconds since 1970"),
            "createdAt": CREATED,
        },
    ),
    "DataPlaneInstance": Form(
        text="A data plane.",
        identified=ALWAYS,
        members={
            "url": must("text"),
            "state": must("text"),
            "stateTimestamp": must("number"),
            "lastActive": must("number"),
            "allowedSourceTypes": must("texts"),
            "allowedTransferTypes": must("texts"),
            "destinationProvisionTypes": must("texts"),
        },
    ),
    "ConnectorParams": Form(
        text="How a connector is talked to: the members that a catalog request takes.",
        members={
            "counterPartyId": must("text"),
            "counterPartyAddress": must("text"),
            "protocol": must("text"),
        },
    ),
    "ProtocolVersions": Form(
        text="The versions that a connector says it speaks.",
        members={"protocolVersions": must("objects", "version, path and binding")},
    ),
}
