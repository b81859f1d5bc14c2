"""The forms of bodies and answers of the management API about revisions of packages.

They are ours alone, have no `@type`, and no version asks more of them than another.
"""

from __future__ import annotations

from comity.management.forms.form import Form, may, must

BODIES: dict[str, Form] = {
    "RevisionQuestion": Form(
        text="Which revision applies to a unit: what is not said is not known of it.",
        members={
            "assetId": must("text"),
            "counterPartyId": may("text", "whose asset it is; else ours"),
            "part": may("text", "its part number"),
            "serialNumber": may("text", "compared in natural order: SN-9 comes before SN-10"),
            "lot": may("text", "its lot, for deviations that are limited to lots"),
            "plant": may("text", "where it is"),
        },
        example={"assetId": "bracket-17", "serialNumber": "SN-10", "plant": "P2"},
    ),
    "RevisionRecall": Form(
        text="A revision to recall, for good.",
        members={
            "revision": must("number", "its number, from 1"),
            "reason": must("text", "told to who holds it, at most 1000 characters"),
        },
        example={"revision": 2, "reason": "the tolerance on sheet 4 is wrong"},
    ),
}
ANSWERS: dict[str, Form] = {
    "Revision": Form(
        text="A revision of a package, ours or as a partner told us of it.",
        members={
            "assetId": must("text"),
            "counterPartyId": may("text", "whose it is; ours has none"),
            "revision": must("number", "from 1 on"),
            "state": must("text", "released, superseded or recalled"),
            "title": must("text"),
            "manifestSha256": must("text"),
            "effectivity": must("objects", "for what it is meant: part, serialFrom, serialTo, plants"),
            "changes": may(
                "object", "how many files were added, removed, changed, renamed since the one before"
            ),
            "reason": may("text", "why it was recalled"),
            "publishedAt": may(
                "number", "in milliseconds since 1970; none of a partner's that is known by its receipt only"
            ),
            "by": may("text", "the API key of who published or recalled it"),
            "files": may("number"),
            "sizeBytes": may("number"),
            "agreementId": may("text", "of a partner's: the agreement under which we know it"),
            "toldAt": may("number", "of a partner's: when we first knew it"),
            "heldBy": may(
                "texts", "of ours: the partners that said they received it, and not that it is deleted"
            ),
            "notices": may(
                "objects",
                "of each one of ours: what every holder of an agreement was told of it last, as counterPartyId, event,"
                " delivery (sent, taken, refused), at, error",
            ),
            "lost": may(
                "texts",
                "of one of ours that was asked for by its number: its files that are not to be had any more, since they"
                " were changed or removed where they lay; those in a bucket or at a back end are not looked for",
            ),
            "parents": may(
                "texts",
                "likewise: what became of the partners' revisions it was made from, of those that are not released",
            ),
            "receivedIn": may("text", "of a partner's: the last transfer that brought it, if it is here"),
        },
    ),
    "RevisionManifest": Form(
        text="The manifest of a revision of ours, member by member.",
        members={
            "format": must("text"),
            "title": must("text"),
            "sizeBytes": must("number"),
            "files": must("objects", "each with path, sizeBytes, sha256, mediaType"),
        },
    ),
    "RevisionChanges": Form(
        text="What changed by file.",
        members={
            "assetId": must("text"),
            "counterPartyId": may("text", "whose it is; ours has none"),
            "revision": must("number"),
            "since": may("number", "the revision it is compared with; none for a first one"),
            "counts": must("object", "how many files of each kind, and how many are the same"),
            "complete": must("flag", "whether all these files are named"),
            "added": must("texts", "paths"),
            "removed": must("texts", "paths"),
            "changed": must("texts", "paths"),
            "renamed": must("objects", "each with before and path"),
        },
    ),
    "RevisionAnswer": Form(
        text="Which revision applies.",
        members={
            "assetId": must("text"),
            "counterPartyId": may("text", "whose it is; ours has none"),
            "revision": may("number", "none where none applies"),
            "manifestSha256": may("text"),
            "deviations": must(
                "objects",
                "granted for this unit, from this revision; of ours with the counterPartyId that asked",
            ),
            "why": must("text", "why it is that one, or none"),
            "complete": must(
                "flag",
                "false where a partner's revision of which it has not told us might apply; why says so",
            ),
        },
    ),
}
