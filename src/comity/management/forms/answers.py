"""The forms of answers of the management API; what else a document holds beside EDC's members is ours.

A test compares them with what a connector really answers.
"""

from __future__ import annotations

from comity.management.forms.form import ALWAYS, CREATED, Form, may, must

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
    "createdAt": CREATED,
}

ANSWERS: dict[str, Form] = {
    "IdResponse": Form(
        text="What was created.",
        identified=ALWAYS,
        members={"createdAt": CREATED},
        example={"@type": "IdResponse", "@id": "bracket-17", "createdAt": 1767225600000},
    ),
    "Asset": Form(
        text="An asset; its data address without queries and unknown members.",
        identified=ALWAYS,
        members={
            "properties": must("object"),
            "privateProperties": may("object"),
            "dataAddress": must("object"),
            "createdAt": CREATED,
        },
    ),
    "PolicyDefinition": Form(
        text="A policy definition.",
        identified=ALWAYS,
        members={"policy": must("object"), "privateProperties": may("object"), "createdAt": CREATED},
    ),
    "ContractDefinition": Form(
        text="A contract definition.",
        identified=ALWAYS,
        members={
            "accessPolicyId": must("text"),
            "contractPolicyId": must("text"),
            "assetsSelector": must("objects"),
            "privateProperties": may("object"),
            "approval": may("object", "who has to approve"),
            "createdAt": CREATED,
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
            "approval": may("object", "the last approval that people were asked for"),
        },
    ),
    "Approval": Form(
        text="What people have to decide before a negotiation goes on.",
        identified=ALWAYS,
        members={
            "contractNegotiationId": must("text"),
            "counterPartyId": must("text"),
            "assetId": must("text"),
            "state": must("text", "WAITING, APPROVED, REFUSED, EXPIRED or WITHDRAWN"),
            "move": must("text", "what we do when it is approved: agree, accept or request"),
            "needs": must("objects", "approvers, how many people of them, and who may not"),
            "missing": must("objects", "how many people of which approvers it still waits for"),
            "waitsFor": may("text", "the same in a sentence"),
            "decisions": must("objects", "by, approved, reason, at"),
            "offer": may("object", "the terms; of one approval only"),
            "dueAt": must("number", "when the time to decide is over, in milliseconds since 1970"),
            "createdAt": CREATED,
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
            "comity:enforcement": must("objects", "each term, and how it is enforced"),
            "createdAt": CREATED,
        },
    ),
    "TransferProcess": Form(
        text="A transfer.",
        identified=ALWAYS,
        members={
            **_PROCESS,
            "contractId": must("text", "the agreement"),
            "transferType": must("text", "comity:Carry for what goes on a medium"),
            "dataDestination": may("object", "where the data is received"),
            "purpose": may("text", "what the consumer says that it wants the data for"),
            "revision": may("number", "the revision that the consumer asks for; none: the newest released"),
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
            "signed": must("flag", "nothing counts that it has not signed"),
            "purpose": must("texts"),
            "spatial": must("texts"),
            "distributionClass": must("texts"),
            "attributes": may("object", "what else is said of it: lists of texts by name"),
            "createdAt": CREATED,
        },
    ),
    "Inquiry": Form(
        text="What a holder asked the owner of a revision, and what became of it.",
        identified=ALWAYS,
        members={
            "type": must("text", "CONSUMER: we asked, or PROVIDER: it is ours to decide"),
            "kind": must("text", "question, deviation or change"),
            "state": must(
                "text", "OPEN, ANSWERED, GRANTED, REFUSED, REVISED, REVOKED, WITHDRAWN or UNDELIVERED"
            ),
            "counterPartyId": must("text"),
            "agreementId": must("text"),
            "assetId": must("text"),
            "manifestSha256": must("text", "the revision"),
            "text": must("text"),
            "files": must("texts"),
            "limits": may("object", "to what a deviation was asked to be limited"),
            "proposal": may("object", "assetId and manifestSha256 of the asker's own package"),
            "answerBy": may("text"),
            "overdue": must("flag", "it is open, and that day is over"),
            "askedBy": may("text", "whose API key"),
            "granted": may("object", "the limits of the deviation that was granted"),
            "decidedBy": must("texts", "whose API keys"),
            "revision": may("number", "the revision that was published because of it"),
            "revisionSha256": may("text", "the digest of that revision's manifest"),
            "revokedAt": may("number", "when the deviation was taken back, in milliseconds since 1970"),
            "proposed": may(
                "object", "limits within which somebody granted it, while others have to as well"
            ),
            "waitsFor": may("text", "the same in a sentence"),
            "error": may("text", "why it, or that it was revoked, was not delivered"),
            "note": may("text", "of a grant: what goes beyond what was asked"),
            "createdAt": CREATED,
            "updatedAt": must("number", "in milliseconds since 1970"),
            "ofRevision": may(
                "number", "of one that is asked for: the number of that revision, if it is known here"
            ),
            "thread": may("objects", "of one that is asked for: event, type, by, text, delivery, error, at"),
        },
    ),
    "Licence": Form(
        text="A licence, and how much of it was used.",
        identified=ALWAYS,
        members={
            "quantity": must("number"),
            "unit": must("text", "transfer or file"),
            "until": must("number", "its last moment, in milliseconds since 1970"),
            "used": must("number"),
            "left": must("number"),
            "uses": may("objects", "of one that is asked for: the newest transfers that were counted"),
            "createdAt": CREATED,
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
            "purpose": must("text", "what the partner was told that the data is for"),
            "revision": may(
                "number",
                "the one that was received, else the one that was asked for; none: the newest released",
            ),
            "became": may("text", "what became of that revision since: superseded, recalled"),
            "sealedBy": may("text", "who sealed what came; empty if nobody did"),
            "waitsFor": must("text", "which people here have to approve it first; empty if none"),
            "error": must("text"),
            "note": may(
                "text", "which files of an older revision were removed from the folder, or stay there changed"
            ),
            "filesDone": must("number"),
            "filesTotal": must("number"),
            "bytesDone": must("number"),
            "bytesTotal": must("number"),
            "createdAt": CREATED,
        },
    ),
    "Deletion": Form(
        text="What was received in a transfer and is to be deleted, or was: by us, or by the partner that has it.",
        identified=ALWAYS,
        members={
            "type": must("text", "CONSUMER or PROVIDER: which of both we are"),
            "state": must("text", "OPEN, OVERDUE or DELETED"),
            "transferId": must("text"),
            "agreementId": must("text"),
            "counterPartyId": must("text"),
            "assetId": must("text"),
            "destination": may("text", "the folder here"),
            "sha256": must("text", "of the manifest or the file; empty if it is not known"),
            "files": may("number"),
            "sizeBytes": may("number"),
            "receivedAt": must("number"),
            "dueAt": may("number", "until when, where the agreement says that"),
            "deletedAt": may("number", "of a partner: what its receipt says"),
            "deletedBy": may("text"),
            "createdAt": CREATED,
        },
    ),
    "Receipt": Form(
        text="The receiver's signed word that it has all of a transfer, or that it has deleted it.",
        identified=ALWAYS,
        members={
            "type": must("text", "CONSUMER for ours, PROVIDER for a partner's"),
            "kind": must("text", "delivery or deletion"),
            "state": must(
                "text",
                "ours: sent, taken, refused, or carried (on a medium); a partner's: kept; both: contradicts",
            ),
            "said": may("text", "why it was refused, or in what it contradicts"),
            "transferId": must("text"),
            "agreementId": must("text"),
            "counterPartyId": must("text"),
            "sha256": must("text", "of the manifest or the file"),
            "files": must("number"),
            "sizeBytes": must("number"),
            "at": must("number", "the receiver's time"),
            "by": may("text", "who deleted"),
            "byHand": must("flag", "it was not the connector that deleted"),
            "enforcement": must("objects", "who sees to each term, as the receiver says at a delivery"),
            "createdAt": CREATED,
        },
    ),
    "EvidencePage": Form(
        text="Records of the evidence, the head of their chain, and those of all chains: replicas have one each.",
        members={
            "entries": must(
                "objects", "chain, seq, hash, record, and the token that lies beside it, for operators"
            ),
            "head": must("object", "size and hash"),
            "chains": must("objects", "chain, size and hash"),
        },
    ),
    "EvidenceBundle": Form(
        text="What is held of an agreement, for a third party: docs/reference/evidence-bundle.md. Every byte counts.",
        members={
            "type": must("text"),
            "version": must("number"),
            "head": must("object", "who exported it, about whom, when"),
            "agreement": must("object"),
            "subjects": must("objects"),
            "keys": must("objects"),
            "authorities": must("texts", "certificates of stamp authorities, in PEM form"),
            "checkpoints": must("objects"),
            "records": must("objects"),
            "frameworks": must("objects"),
            "terms": must("objects"),
            "seal": must("text", "the exporter's signature over the digest of each part"),
        },
    ),
    "Checkpoints": Form(
        text="Signed heads of the evidence, ours and partners', and what was found out about partners' logs.",
        members={
            "checkpoints": must("objects", "chain, origin, size, note, madeAt, cosignedBy, stampedAt"),
            "seen": must("objects", "participantId, origin, size, note, seenAt: the last one of each log"),
            "findings": must(
                "objects", "id, participantId, origin, kind, said, known, shown, foundAt, acknowledgedAt"
            ),
            "halted": may("text", "why nothing new proceeds now"),
        },
    ),
    "Comparison": Form(
        text="What a checkpoint that somebody else was shown is beside those that we saw.",
        members={"state": must("text", "SEEN, FORKED, ASKED (there will be a finding) or UNSEEN")},
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
            "createdAt": CREATED,
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
            "createdAt": CREATED,
            "key": may("text", "the key itself: only in the answer to its making"),
        },
    ),
    "FrameworkAgreement": Form(
        text="A framework agreement, who signed it, and what was delivered of it.",
        identified=ALWAYS,
        members={
            "title": must("text"),
            "state": must("text", "open, agreed, or signed: where both sides' signatures are held"),
            "replacedBy": may("text", "the version that has taken its place"),
            "proposer": must("text"),
            "document": must("object", "as it was hashed"),
            "textsId": must("text", "the dataset that holds the texts"),
            "parties": must("objects", "participantId, state, signatureHeld, detail, inForce, notInForce"),
            "commitments": must("objects", "as in the document, with delivered and confirmed"),
            "deliveries": must("objects", "id, commitmentId, quantity, evidence, reportedBy, confirmedBy"),
            "signatures": may("objects", "of named signatories: signer, signedAt, valid, detail"),
            "createdAt": CREATED,
        },
    ),
    "OfferedFramework": Form(
        text="A framework agreement as a partner offers it; its hash is the one in its name.",
        identified=ALWAYS,
        members={"document": must("object"), "textsId": must("text")},
    ),
    "FrameworkSignature": Form(
        text="What a signatory's own signature is worth here.",
        members={
            "signer": must("text"),
            "signedAt": must("text"),
            "valid": must("flag"),
            "detail": must("text", "what it covers, or why it does not hold"),
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
