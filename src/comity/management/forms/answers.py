"""The forms of answers of the management API; what else a document holds beside EDC's members is ours.

A test compares them with what a connector really answers.
"""

from __future__ import annotations

from comity.management.forms.form import ALWAYS, Form, may, must

_CREATED = must("number", "when it was made, in milliseconds since 1970")
_PROCESS = {
    "type": must("text", "CONSUMER or PROVIDER: which of both we are"),
    "protocol": must("text"),
    "state": must("text", "as EDC shows it: REQUESTING while our message is on its way"),
    "stateTimestamp": must("number"),
    "counterPartyId": must("text"),
    "counterPartyAddress": must("text"),
    "correlationId": may("text", "the partner's id of the same process"),
    "assetId": must("text"),
    "callbackAddresses": must("objects"),
    "errorDetail": may("text", "why a message is still tried again, or why it ended"),
    "createdAt": _CREATED,
}

ANSWERS: dict[str, Form] = {
    "IdResponse": Form(
        text="What was created.",
        identified=ALWAYS,
        members={"createdAt": _CREATED},
        example={"@type": "IdResponse", "@id": "bracket-17", "createdAt": 1767225600000},
    ),
    "Asset": Form(
        text="An asset; its data address without queries and unknown members.",
        identified=ALWAYS,
        members={
            "properties": must("object"),
            "privateProperties": may("object"),
            "dataAddress": must("object"),
            "createdAt": _CREATED,
        },
    ),
    "PolicyDefinition": Form(
        text="A policy definition.",
        identified=ALWAYS,
        members={"policy": must("object"), "privateProperties": may("object"), "createdAt": _CREATED},
    ),
    "ContractDefinition": Form(
        text="A contract definition.",
        identified=ALWAYS,
        members={
            "accessPolicyId": must("text"),
            "contractPolicyId": must("text"),
            "assetsSelector": must("objects"),
            "privateProperties": may("object"),
            "createdAt": _CREATED,
        },
    ),
    "Catalog": Form(
        text="The partner's catalog as it wrote it (DCAT), all pages as one.",
        members={"dataset": may("any"), "dcat:dataset": may("any")},
    ),
    "Dataset": Form(
        text="A partner's dataset as it wrote it (DCAT).",
        identified=ALWAYS,
        members={"hasPolicy": may("any")},
    ),
    "ContractNegotiation": Form(
        text="A negotiation.",
        identified=ALWAYS,
        members={
            **_PROCESS,
            "profile": must("text", "the same as protocol"),
            "contractAgreementId": may("text"),
            "offer": must("object", "the terms that are on the table"),
            "offeredBy": must("text", "CONSUMER or PROVIDER: whose terms they are"),
        },
    ),
    "NegotiationState": Form(text="A negotiation's state.", members={"state": must("text")}),
    "ContractAgreement": Form(
        text="An agreement; `policy` as both sides have it, letter for letter.",
        identified=ALWAYS,
        members={
            "agreementId": must("text"),
            "contractNegotiationId": must("text"),
            "providerId": must("text"),
            "consumerId": must("text"),
            "assetId": must("text"),
            "contractSigningDate": must("number", "in seconds since 1970"),
            "policy": must("object"),
            "createdAt": _CREATED,
        },
    ),
    "TransferProcess": Form(
        text="A transfer.",
        identified=ALWAYS,
        members={
            **_PROCESS,
            "contractId": must("text", "the agreement"),
            "transferType": must("text"),
            "dataDestination": may("object", "where the data is received"),
        },
    ),
    "TransferState": Form(text="A transfer's state.", members={"state": must("text")}),
    "DataAddress": Form(
        text="Where, and with which token, data can be fetched.",
        members={
            "type": must("text"),
            "endpointType": must("text"),
            "endpoint": must("text"),
            "authorization": must("text", "the token, without Bearer"),
        },
    ),
    "Partner": Form(
        text="A partner.",
        identified=ALWAYS,
        members={
            "name": must("text"),
            "address": must("text"),
            "keys": must("objects"),
            "pinned": must("flag"),
            "purpose": must("texts"),
            "spatial": must("texts"),
            "createdAt": _CREATED,
        },
    ),
    "Package": Form(
        text="What was published.",
        identified=ALWAYS,
        members={
            "assetId": must("text"),
            "title": must("text"),
            "files": must("number"),
            "sizeBytes": must("number"),
            "manifestSha256": must("text"),
            "skipped": must("texts", "what lies in the folder and is not part of it"),
        },
    ),
    "Exchange": Form(
        text="How far it has come.",
        identified=ALWAYS,
        members={
            "counterPartyId": must("text"),
            "assetId": must("text"),
            "destination": must("text"),
            "stage": must("text", "NEGOTIATING, REQUESTING, PULLING, COMPLETED or FAILED"),
            "error": must("text"),
            "filesDone": must("number"),
            "filesTotal": must("number"),
            "bytesDone": must("number"),
            "bytesTotal": must("number"),
            "createdAt": _CREATED,
        },
    ),
    "EvidencePage": Form(
        text="Records of the evidence, the head of their chain, and those of all chains: replicas have one each.",
        members={
            "entries": must("objects", "chain, seq, hash and record"),
            "head": must("object", "size and hash"),
            "chains": must("objects", "chain, size and hash"),
        },
    ),
    "EventPage": Form(
        text="Events as CloudEvents 1.0, the oldest first; with Accept: text/event-stream a stream of them.",
        members={
            "events": must("objects", "id, type, subject, time, sequence, number, data"),
            "next": must("number", "what to ask for with after the next time"),
            "more": must("flag", "whether there are others already"),
            "oldest": must("number", "the oldest event that is kept"),
            "newest": must("number", "the newest"),
        },
    ),
    "Webhook": Form(
        text="An address that is told of events, and how it stands.",
        identified=ALWAYS,
        members={
            "url": must("text"),
            "types": must("texts"),
            "authKey": may("text"),
            "authCodeId": may("text"),
            "processId": may("text", "of a callback: the one process that it is told of"),
            "signed": must("flag"),
            "state": must("text", "ACTIVE, DONE (its process has ended), or DISABLED: it gets no more"),
            "lastDelivered": must("number", "it has all events that it wants up to this one"),
            "newest": must("number", "the newest event that there is"),
            "failingSince": may("number"),
            "attempts": may("number", "how often in a row it did not take one"),
            "nextAttempt": may("number"),
            "lastError": may("text"),
            "createdAt": _CREATED,
        },
    ),
    "Identity": Form(
        text="Who we are, and which keys prove it.",
        identified=ALWAYS,
        members={
            "keys": must("objects", "kid, state, thumbprint, publicKeyJwk, signsFrom, leavesAt, retiredAt")
        },
    ),
    "ApiKey": Form(
        text="An API key.",
        identified=ALWAYS,
        members={
            "role": must("text"),
            "expiresAt": may("number"),
            "createdAt": _CREATED,
            "key": may("text", "the key itself: only in the answer to its making"),
        },
    ),
    "VersionDocument": Form(text="The versions that are served.", members={"management": must("objects")}),
    "HealthStatus": Form(
        text="How it is.",
        members={
            "isSystemHealthy": must("flag"),
            "componentResults": must("objects", "component, isHealthy, failure"),
        },
    ),
    "OpenApi": Form(text="This API as an OpenAPI 3.1 document.", members={"openapi": must("text")}),
    "Page": Form(text="This API as a page to read.", media="text/html; charset=utf-8", members={}),
    "Problems": Form(text="What is wrong: a list of problems.", members={}),
}
"""Name -> form of an answer."""
