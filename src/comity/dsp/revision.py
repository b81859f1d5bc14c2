"""Notices about revisions: a provider tells who holds an agreement about an asset what became of its revisions.

Each names the agreement, the revision that it is about, what happened to it, and how the newest ones stand, so that one
that was missed, or comes late, leaves nothing wrong. What changed by file is in it for whoever may have the data.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct, field

from comity import errors
from comity.dsp import codec, messages

Document = dict[str, Any]
NOTICE: Final = "comity:RevisionNotice"
PUBLISHED, RECALLED = "published", "recalled"
MOST: Final = 100
"""How many revisions a notice names."""
_BYTES: Final = 384 * 1024
"""How much of a notice may be files, and how much revisions: the body of a message has at most 1 MiB."""

Number = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Words = Annotated[str, Meta(max_length=1000)]
Path = Annotated[str, Meta(min_length=1, max_length=1024)]
Count = Annotated[int, Meta(ge=0, le=2**53)]


class Standing(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A revision and how it stands; `published_at` is in ms."""

    revision: Number
    state: Annotated[str, Meta(pattern="^(released|superseded|recalled)$")]
    manifest_sha256: Digest
    published_at: Annotated[int, Meta(ge=0, le=2**53)]
    effectivity: Annotated[list[Document], Meta(max_length=1000)] = field(default_factory=list)
    reason: Words = ""


class Renamed(Struct, frozen=True):
    """A file that lies at another path now."""

    before: Path
    path: Path


class Files(Struct, frozen=True, omit_defaults=True):
    """The files of each kind by their paths."""

    added: list[Path] = field(default_factory=list)
    removed: list[Path] = field(default_factory=list)
    changed: list[Path] = field(default_factory=list)
    renamed: list[Renamed] = field(default_factory=list)


class Changes(Struct, frozen=True, kw_only=True):
    """How many files of each kind there are, and as many of them as a notice can carry; `complete` if these are all."""

    added: Count
    removed: Count
    changed: Count
    renamed: Count
    same: Count
    files: Files
    complete: bool

    def cut(self) -> Changes:
        """Return them with so many files as a notice can carry."""
        kinds = self.files.__struct_fields__
        shown = {kind: fitting(getattr(self.files, kind), _BYTES // len(kinds)) for kind in kinds}
        files = Files(**shown)
        return msgspec.structs.replace(self, files=files, complete=files == self.files)


class Notice(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The members of a notice; `changes` are None for who may not have the data now.

    With `history` nothing happened now: who has just agreed is told what there is.
    """

    type: str = field(name="@type", default_factory=lambda: NOTICE)
    agreement_id: messages.Pid
    asset_id: messages.Pid
    revision: Number
    event: Annotated[str, Meta(pattern="^(published|recalled)$")]
    title: Words = ""
    revisions: Annotated[list[Standing], Meta(min_length=1, max_length=MOST)]
    changes: Changes | None = None
    history: bool = False

    def document(self) -> Document:
        """Return it as a notice, with so many revisions as one can carry: first the one that it is about."""
        written: Document = msgspec.to_builtins(self)
        first = sorted(
            written["revisions"], key=lambda each: (each["revision"] != self.revision, -each["revision"])
        )
        return {**written, "revisions": fitting(first[:MOST], _BYTES)}


def fitting(listed: list[Any], most_bytes: int) -> list[Any]:
    """Return the first of a list, and so many more as can be written in so many bytes."""
    found, size = listed[:1], len(msgspec.json.encode(listed[:1]))
    for each in listed[1:]:
        size += len(msgspec.json.encode(each)) + 1
        if size > most_bytes:
            break
        found.append(each)
    return found


def read(document: Document) -> Notice:
    """Return a notice.

    Raises:
        InvalidInputError: it is none, with the place.
    """
    notice = codec.convert(document, Notice)
    numbers = [each.revision for each in notice.revisions]
    if len(set(numbers)) != len(numbers) or notice.revision not in numbers:
        raise errors.InvalidInputError(
            "a notice names each revision once, and the one that it is about among them", path="$.revisions"
        )
    return notice
