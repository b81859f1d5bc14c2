"""The forms of bodies of the management API that are ours alone: partners, packages, exchanges, keys.

They have no `@type`, and no version asks more of them than another.
"""

from __future__ import annotations

from comity.management.forms.form import Form, may, must

BODIES: dict[str, Form] = {
    "NewPartner": Form(
        text="A participant that goes on the list of partners.",
        members={
            "participant": must("text", "DID or public address, or any id with address"),
            "name": may("text", "what you call it"),
            "address": may("text", "DSP base address, if its DID document does not name it"),
            "purpose": may("texts", "purposes you hold it to have"),
            "spatial": may("texts", "where it is"),
            "keys": may("objects", "public JWKs: the only ones that count from now on"),
            "pin": may("flag", "keep the keys it has now, whatever its DID document says later"),
        },
        example={"participant": "did:web:partner.example", "name": "Partner"},
    ),
    "NewPackage": Form(
        text="A folder to hash and offer as one technical data package.",
        members={
            "folder": must("text", "an absolute path below storage.roots"),
            "assetId": may("text", "its id; else made from its content"),
            "title": may("text", "else the folder's name"),
            "policy": may("object", "what is offered; else use for every partner"),
            "accessPolicy": may("object", "who sees it; else the same"),
            "properties": may("object", "what else partners are told"),
            "replace": may("flag", "replace the one with this id"),
        },
        example={"folder": "/srv/release/7", "title": "Release 7"},
    ),
    "NewExchange": Form(
        text="A partner's dataset that you want in a folder.",
        members={
            "counterPartyId": must("text", "the partner's participant id"),
            "assetId": must("text", "the dataset"),
            "destination": may("text", "a folder below storage.roots"),
            "offerId": may("text", "which of its offers; else the first"),
            "policy": may("object", "the offer as it was shown: taken by its terms where its id has changed"),
        },
        example={"counterPartyId": "did:web:provider.example", "assetId": "bracket-17"},
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
            "role": must("text", "viewer, operator or admin"),
            "expiresAt": may("number", "when it ends, in milliseconds since 1970; else never"),
        },
        example={"name": "dashboard", "role": "viewer"},
    ),
}
