"""The forms of bodies of the management API that are ours alone: partners, packages, exchanges, keys.

They have no `@type`, and no version asks more of them than another.
"""

from __future__ import annotations

from comity.management.forms.form import Form, may, must

_URN = f"urn:comity:framework:1bc5bbd8-9f0a-4cf6-8f6b-3c1a2f0a7d55#sha256:{'0' * 64}"
_FRAMEWORK = {
    "id": _URN.partition("#")[0],
    "version": 1,
    "title": "Joint production",
    "languageVersions": [
        {"language": "en", "file": "text.en.md", "mediaType": "text/markdown", "sha256": "0" * 64}
    ],
    "parties": [
        {"participantId": f"did:web:{each}.example", "name": each, "signingRole": "government"}
        for each in ("alpha", "beta")
    ],
    "purpose": ["production:programme-1"],
    "territory": [],
    "validity": {"from": "2026-12-01", "until": "2031-12-31"},
}

BODIES: dict[str, Form] = {
    "NewPartner": Form(
        text="A participant that goes on the list of partners; what is not said of one on it stays.",
        members={
            "participant": must("text", "DID or public address, or any id with address"),
            "name": may("text", "what you call it"),
            "address": may("text", "DSP base address, if its DID document does not name it"),
            "purpose": may("texts", "purposes you hold it to have"),
            "spatial": may("texts", "where it is"),
            "distributionClass": may("texts", "the classes of data that it may have, such as partners-only"),
            "attributes": may(
                "object", "what else policies ask for: lists of texts by name, such as Membership"
            ),
            "keys": may("objects", "public JWKs: the only ones that count from now on"),
            "pin": may("flag", "keep the keys it has now, whatever its DID document says later"),
            "signed": may("flag", "take no request and no answer of it without its signature (RFC 9421)"),
            "approval": may("Approvers", "who has to approve what is negotiated with it; else nobody"),
        },
        example={"participant": "did:web:partner.example", "name": "Partner"},
    ),
    "NewLicence": Form(
        text="A licence under which something may be handed over.",
        members={
            "number": must("text", "as offers name it"),
            "quantity": must("number", "how much it allows"),
            "unit": may("text", "what is counted: transfer (else) or file"),
            "until": must("text", "its last day (UTC) or moment: 2027-12-31 or 2027-12-31T12:00:00Z"),
        },
        example={"number": "L-2027-0815", "quantity": 3, "until": "2027-12-31"},
    ),
    "NewPackage": Form(
        text="A folder to hash and offer as one technical data package.",
        members={
            "folder": must("text", "an absolute path below storage.roots, or a bucket's address"),
            "assetId": may("text", "its id; else the folder's: the same one each time"),
            "title": may("text", "else as before, or the folder's name"),
            "policy": may("object", "what is offered; else as before, or use for every partner"),
            "accessPolicy": may("object", "who sees it; else as before, or the same"),
            "properties": may("object", "what else partners are told"),
            "derivedFrom": may("texts", "agreements from whose data it was made: their terms follow"),
            "answers": may("texts", "inquiries because of which it is published: who asked is told"),
            "approval": may("Approvers", "who has to approve what is negotiated about it; else nobody"),
            "framework": may("text", "the URN of a framework agreement: its release rules are inherited"),
            "again": may("flag", "only if it is published already, so that terms are there"),
            "effectivity": may("objects", "for what it is meant; else as the folder says, or as before"),
            "keep": may(
                "texts",
                "of what is published already: terms (refused if one falls away), effectivity (its other members stay)",
            ),
        },
        example={"folder": "/srv/release/7", "title": "Release 7"},
    ),
    "CarryWriting": Form(
        text="A package to write to a medium, under an agreement, or the newest one about an asset.",
        members={
            "medium": must("text", "the folder where it is mounted, below storage.roots"),
            "agreementId": may("text", "this agreement"),
            "assetId": may("text", "or: this asset"),
            "counterPartyId": may("text", "who gets it, if several have agreements about the asset"),
            "revision": may("number", "else the newest that is released"),
            "purpose": may("text", "what it is handed over for"),
        },
        example={"medium": "/media/stick", "assetId": "release-7"},
    ),
    "CarryTaking": Form(
        text="A medium whose packages for us are to be taken.",
        members={
            "medium": must("text", "the folder where it is mounted, below storage.roots"),
            "destination": may("text", "a folder, or a bucket's address; else store:, the node's store"),
            "code": may("text", "opens what is new here"),
        },
        example={"medium": "/media/stick", "code": "ABCD-EFGH-IJKL-MNOP-QRST-UVWX-YZ"},
    ),
    "CarryMedium": Form(
        text="A medium on which receipts come back.",
        members={"medium": must("text", "the folder where it is mounted, below storage.roots")},
        example={"medium": "/media/stick"},
    ),
    "NewReading": Form(
        text="An asset of a partner that is to be read there, by whom and what for.",
        members={
            "counterPartyId": must("text"),
            "assetId": must("text"),
            "purpose": may("text", "what for; needed where the offer names purposes"),
            "person": may("text", "who"),
            "nationality": may("texts", "that person's nationalities, as the terms write them"),
            "offerId": may("text", "of the partner's catalog; else its first offer"),
            "policy": may("object", "the offer as it was shown, taken by its terms"),
            "revision": may("number", "else the newest that is released"),
        },
        example={"counterPartyId": "did:web:partner.example", "assetId": "release-7"},
    ),
    "Access": Form(
        text="Somebody wants to open what was received.",
        members={
            "purpose": may("text", "what for"),
            "person": may("text", "who"),
            "nationality": may("texts", "that person's nationalities, as the terms write them"),
        },
        example={"purpose": "production:programme-1"},
    ),
    "ReceivedExport": Form(
        text="Somebody wants a copy outside of the node's store, where its terms are enforced no more.",
        members={
            "destination": must("text", "a folder below storage.roots, or a bucket's address"),
            "purpose": may("text", "what for"),
            "person": may("text", "who"),
            "nationality": may("texts", "that person's nationalities, as the terms write them"),
        },
        example={"destination": "/srv/data/bracket", "purpose": "production:programme-1"},
    ),
    "Attestation": Form(
        text="Somebody states that terms are kept which no software sees.",
        members={
            "statement": must("text", "what is stated"),
            "purpose": may("text", "what for"),
            "person": may("text", "who states it; beside the name of the API key"),
            "nationality": may("texts", "that person's nationalities"),
        },
        example={"statement": "The drawings are kept in one room in Bremen.", "person": "Jo Doe"},
    ),
    "NewFramework": Form(
        text="A framework agreement to propose to its parties.",
        members={
            "document": must("object", "its document: see the how-to"),
            "folder": must("text", "an absolute path below storage.roots, where its texts are"),
        },
        example={"document": _FRAMEWORK, "folder": "/srv/frameworks/1"},
    ),
    "FrameworkRequest": Form(
        text="A framework agreement that a partner offers.",
        members={
            "counterPartyId": must("text", "the partner's participant id"),
            "frameworkAgreement": must("text", "its URN with the hash"),
        },
        example={"counterPartyId": "did:web:alpha.example", "frameworkAgreement": _URN},
    ),
    "FrameworkSigning": Form(
        text="With whom a framework agreement is signed.",
        members={
            "counterPartyId": must("text", "the partner that proposed it"),
            "frameworkAgreement": must("text", "its URN with the hash"),
            "accede": may("flag", "join it without being a party that it names"),
        },
        example={"counterPartyId": "did:web:alpha.example", "frameworkAgreement": _URN},
    ),
    "FrameworkChange": Form(
        text="Why a framework agreement is suspended or ended.",
        members={"reason": must("text", "what the other parties are told")},
        example={"reason": "the export licence was withdrawn"},
    ),
    "FrameworkDelivery": Form(
        text="What was delivered of a commitment of ours.",
        members={
            "frameworkAgreement": must("text", "its URN with the hash"),
            "commitment": must("text", "its id in the document"),
            "quantity": must("text", "a decimal number, in the commitment's unit"),
            "evidence": may("text", "what shows it, such as a delivery note"),
        },
        example={"frameworkAgreement": _URN, "commitment": "C1", "quantity": "40"},
    ),
    "FrameworkConfirmation": Form(
        text="A delivery that a partner reported, and that arrived.",
        members={"delivery": must("text", "its id")},
        example={"delivery": "urn:uuid:01a22386-b941-7a2a-aafb-10c7ae6ff19f"},
    ),
    "FrameworkSignatureFile": Form(
        text="A signatory's own signature.",
        members={"content": must("text", "a detached CMS signature or a signed PDF, in base64")},
        example={"content": "MIIG"},
    ),
    "NewExchange": Form(
        text="A partner's dataset that you want in a folder.",
        members={
            "counterPartyId": must("text", "the partner's participant id"),
            "assetId": must("text", "the dataset"),
            "destination": may("text", "a folder below storage.roots, or store: for the node's store"),
            "offerId": may("text", "which of its offers; else the first"),
            "policy": may("object", "the offer as it was shown: taken by its terms where its id has changed"),
            "purpose": may("text", "what the data is for: the partner is told"),
            "revision": may("number", "which revision of a package; else the newest released one"),
            "limit": may("text", "how many bytes a second may come, such as 5MB/s; only where it is new"),
        },
        example={"counterPartyId": "did:web:provider.example", "assetId": "bracket-17"},
    ),
    "DeletionOrder": Form(
        text="What was received and is to be deleted: in one transfer, or under an agreement.",
        members={
            "transferId": may("text", "either this"),
            "agreementId": may("text", "or this"),
            "byHand": may("flag", "it is deleted already, by other means: only the receipt is sent"),
        },
        example={"transferId": "urn:uuid:0190a7c8-6f3e-7d21-a0b1-5e0c2f9d4a77"},
    ),
    "ForeignCheckpoint": Form(
        text="A checkpoint of a partner that somebody else was shown.",
        members={"checkpoint": must("text", "the signed note")},
        example={
            "checkpoint": "did:web:partner.example/log/0\n9\n...\n\n— did:web:partner.example/log/0 ...\n"
        },
    ),
    "PolicyQuestion": Form(
        text="Why may a partner see and have an asset, or not.",
        members={
            "participant": must("text", "the partner's id"),
            "assetId": must("text"),
            "at": may("text", "a time, or a day: its end; else now"),
            "purpose": may("text", "what the partner says that it is for"),
        },
        example={"participant": "did:web:partner.example", "assetId": "bracket-17", "at": "2027-12-31"},
    ),
    "PolicySupposition": Form(
        text="What might be otherwise: who could have an asset then.",
        members={
            "assetId": must("text"),
            "policy": may("object", "what it is offered under; else what it is now"),
            "at": may("text", "a time, or a day: its end; else now"),
            "participant": may("text", "whose attributes; else everybody's"),
            "attributes": may("object", "what is said of partners: lists of texts by name"),
            "without": may("texts", "framework agreements and licences as if they had ended"),
        },
        example={"assetId": "bracket-17", "attributes": {"purpose": ["repair"]}},
    ),
    "NewWebhook": Form(
        text="An address that is told of events.",
        members={
            "url": must("text", "where they are posted to"),
            "types": may("texts", "which, by the beginning of their names; else all"),
            "secret": may("text", "whsec_ and 24 to 64 bytes in base64: signs every delivery"),
            "authKey": may("text", "the name of a header"),
            "authCodeId": may("text", "the secret that holds its value"),
            "after": may("number", "the last event that it does not need; else the newest"),
        },
        example={"url": "https://app.example/events", "types": ["contract.negotiation.finalized"]},
    ),
    "Approvers": Form(
        text="People who have to approve before a negotiation goes on.",
        nested=True,
        members={
            "approvers": must("texts", "names of API keys with the role approver or a higher one"),
            "fourEyes": may("flag", "two of them, neither of whom asked for it; else one"),
            "withinSeconds": may("number", "how long they have; else 259200, three days"),
        },
    ),
    "ApprovalDecision": Form(
        text="Why somebody approves or refuses.",
        members={"reason": may("text", "kept in the evidence; a refusal needs it, and the partner is told")},
        example={"reason": "the drawing is not released yet"},
    ),
    "NewInquiry": Form(
        text="What the holder of a revision asks its owner.",
        members={
            "agreementId": must("text", "the agreement under which it was received"),
            "kind": must("text", "question, deviation or change"),
            "text": must("text", "what is asked"),
            "files": may("texts", "paths of the files that it is about"),
            "manifestSha256": may("text", "the revision; else the one that was received last"),
            "limits": may("InquiryLimits", "to what a deviation shall be limited"),
            "proposal": may("text", "a package of one's own that shows it, published for the owner"),
            "answerBy": may("text", "the day by which an answer is needed: 2027-03-31"),
        },
        example={
            "agreementId": "urn:uuid:01a22386-b941-7a2a-aafb-10c7ae6ff19f",
            "kind": "deviation",
            "text": "May we use M6 screws instead of M5?",
            "files": ["drawings/housing.pdf"],
            "limits": {"lotFrom": "L-12", "lotTo": "L-14", "until": "2027-03-31"},
        },
    ),
    "InquiryLimits": Form(
        text="To what a deviation is limited: at least one of them.",
        nested=True,
        members={
            "lotFrom": may("text", "the first lot"),
            "lotTo": may("text", "the last lot"),
            "serialFrom": may("text", "the first serial number"),
            "serialTo": may("text", "the last serial number"),
            "quantity": may("number", "how many pieces"),
            "until": may("text", "its last day: 2027-03-31"),
            "conditions": may("text", "what must be kept besides"),
        },
    ),
    "InquiryGrant": Form(
        text="A deviation that a person grants.",
        members={
            "limits": may(
                "InquiryLimits",
                "what they do not name stays as a colleague granted it, or as it was asked for",
            ),
            "text": may("text", "what the asker is told"),
        },
        example={"limits": {"lotFrom": "L-12", "lotTo": "L-14"}, "text": "Mark the crates."},
    ),
    "InquiryText": Form(
        text="What somebody says to the other side.",
        members={"text": must("text", "an answer, a reason, a message")},
        example={"text": "M6 is not strong enough here."},
    ),
    "InquiryWithdrawal": Form(
        text="Why an inquiry is withdrawn.",
        members={"text": may("text", "what the owner is told")},
        example={"text": "We found it in the manual."},
    ),
    "KeyRotation": Form(
        text="A new signing key: published at once, signing later.",
        members={
            "leadSeconds": may("number", "until it signs; else 330"),
            "graceSeconds": may("number", "how long the old one stays published after that; else 86400"),
        },
        example={"graceSeconds": 86400},
    ),
    "NewApiKey": Form(
        text="An API key to make.",
        members={
            "name": must("text", "who will hold it"),
            "role": must("text", "viewer, approver, operator or admin"),
            "expiresAt": may("number", "when it ends, in milliseconds since 1970; else never"),
        },
        example={"name": "dashboard", "role": "viewer"},
    ),
}
