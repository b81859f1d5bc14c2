"""The forms of answers of the management API about data itself: packages, what is read, received, kept and carried.

They are ours alone: EDC has no such documents.
"""

from __future__ import annotations

from comity.management.forms.form import ALWAYS, CREATED, Form, may, must

ANSWERS: dict[str, Form] = {
    "Received": Form(
        text="What a transfer brought, and the terms under which it may be used.",
        identified=ALWAYS,
        members={
            "agreementId": must("text"),
            "counterPartyId": must("text"),
            "assetId": must("text"),
            "destination": must("text", "the folder, or store: for the node's store"),
            "name": may("text", "the one file of what is no package"),
            "sha256": must("text", "of the manifest, or of that file"),
            "files": may("number"),
            "note": may(
                "text", "of an export: which files of an older revision were removed there, or stay changed"
            ),
            "revision": may("number", "which revision it is, as its owner told"),
            "revisionState": may("text", "released, superseded or recalled"),
            "became": may("text", "by which revision it was superseded, or why it was recalled"),
            "sizeBytes": may("number"),
            "receivedAt": may("number", "in milliseconds since 1970"),
            "deletedAt": may("number"),
            "policy": must("object"),
            "locked": must("texts", "the terms by which nobody may open it now"),
            "exports": may("objects", "where copies went: destination (empty: a program), person, by, at"),
            "copiesWait": may(
                "flag", "the store has deleted it as agreed; people delete the copies, then the receipt goes"
            ),
            "lies": may("text", "where, if another replica has it in its store"),
            "seal": may(
                "object", "of a package that has one: sealedBy, key, sealedAt; it was checked when it came"
            ),
        },
    ),
    "CarriedPackage": Form(
        text="A package that is on a medium; its id is the transfer's.",
        identified=ALWAYS,
        members={
            "agreementId": must("text"),
            "counterPartyId": must("text"),
            "assetId": must("text"),
            "place": must("text", "its folder"),
            "files": must("number"),
            "sizeBytes": must("number"),
            "code": must("text", "opens it; it is told by another way than the medium"),
        },
    ),
    "Carried": Form(
        text="What became of a package, or of a receipt, on a medium.",
        members={
            "state": must("text", "taken, known, others, none, contradicts or refused"),
            "transferId": may("text"),
            "place": may("text", "where it lies on the medium"),
            "counterPartyId": may("text"),
            "assetId": may("text"),
            "receipt": may("text", "the type of the receipt"),
            "why": may("text", "why it was not taken, or what is to be known of it"),
            "hint": may("text"),
        },
    ),
    "ReceivedStore": Form(
        text="The node's store of what was received.",
        members={
            "folder": must("text"),
            "files": must("number", "each content once"),
            "sizeBytes": must("number", "of these"),
            "freeBytes": must("number"),
        },
    ),
    "ReceivedCheck": Form(
        text="What was read again of something in the node's store, all of it.",
        members={
            "files": must("number"),
            "sizeBytes": must("number"),
            "damaged": must("texts", "files that are not what was received"),
            "missing": must("texts", "files that are not there"),
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
            "revision": must("number", "1 for the first"),
            "unchanged": must("flag", "it was published so already: this is what is there"),
            "sealedBy": must("text", "whose seal it has"),
            "warnings": must("texts", "what its publisher ought to know"),
            "skipped": must("texts", "what lies in the folder and is not part of it"),
            "effectivity": must("objects", "for what it is meant: part, serialFrom, serialTo, plants"),
            "policy": must("object", "its terms, with those that follow from what it was made of"),
            "derivedFrom": must(
                "texts", "agreements under which files of it were received, or that were named"
            ),
        },
    ),
    "Publishing": Form(
        text="A folder that is being hashed now.",
        members={
            "folder": must("text"),
            "startedAt": must("number"),
            "filesDone": must("number"),
            "filesTotal": must("number"),
            "bytesDone": must("number"),
            "bytesTotal": must("number"),
        },
    ),
    "Reading": Form(
        text="An asset that is read at its partner, and how far that has come.",
        identified=ALWAYS,
        members={
            "counterPartyId": must("text"),
            "assetId": must("text"),
            "stage": must("text", "NEGOTIATING, REQUESTING, READY, SUSPENDED, ENDED or FAILED"),
            "agreementId": may("text"),
            "transferId": may("text"),
            "purpose": must("text", "what the partner was told that it is for"),
            "person": must("text"),
            "waitsFor": must("text", "which people here have to approve it first; empty if none"),
            "error": must("text"),
            "locked": must("texts", "the terms by which it may not be read now"),
            "became": may("text", "of a revision that was asked for: by which one it was superseded"),
            "createdAt": CREATED,
        },
    ),
    "FileEntry": Form(
        text="A file that can be read.",
        members={
            "path": must("text"),
            "sizeBytes": may("number", "absent where the partner does not say: then it is read whole only"),
            "sha256": may("text"),
            "mediaType": must("text"),
            "single": may("flag", "true of what is no package, but this one file"),
        },
    ),
    "PackageManifest": Form(
        text="The manifest of the package, its exact bytes.",
        media="application/vnd.comity.package+json",
        members={},
    ),
    "FileBytes": Form(
        text="The bytes, all or the range that was asked for. ETag, Repr-Digest, Range, If-Match, If-None-Match and"
        " If-Range are as in RFC 9110 and RFC 9530.",
        media="application/octet-stream",
        members={},
    ),
}
