"""A medium as a scripted counterparty writes it, and receipts as it writes them."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from comity.dsp import carried as forms
from comity.dsp import notice as notices
from comity.dsp import receipt
from comity.storage import medium
from comity.techdata import manifest
from support.peer import Peer

PROVIDER_PID = "urn:uuid:peers-carried-transfer"


def signed(peer: Peer, site: Any, document: dict[str, Any]) -> forms.Message:
    """A notice of the counterparty with its token."""
    content = notices.encode({"@context": notices.CONTEXT, "@id": "urn:carried:1", **document})
    return forms.Message(content.decode(), peer.token(site.did, content))


def write(
    stick: Path, peer: Peer, site: Any, agreement: dict[str, Any], content: bytes, **changes: Any
) -> str:
    """Write a package of one file under an agreement to a medium, and return its code."""
    secret = os.urandom(forms.CODE_BYTES)
    file = manifest.File(path="a.txt", size_bytes=len(content), sha256=sha256(content).hexdigest())
    data = manifest.encode(manifest.Manifest(title="carried", files=(file,)))
    said = {
        "agreement_id": agreement["@id"],
        "agreement": agreement,
        "provider_pid": PROVIDER_PID,
        "consumer_pid": forms.consumer_pid(peer.did, PROVIDER_PID, site.did),
        "asset_id": agreement["target"],
        "manifest_sha256": manifest.digest(data),
        "manifest_bytes": len(data),
        "files": 1,
        "size_bytes": len(content),
        "time": receipt.moment(0),
        **changes,
    }
    header = medium.Header(provider_pid=PROVIDER_PID, provider_id=peer.did, consumer_id=site.did)
    writing = medium.Medium(str(stick)).begin(header, len(content), 2)
    for name, each in ((medium.MANIFEST, data), ("1", content)):
        growing = writing.create(secret, name)
        writing.put(growing, 0, each)
        writing.close(growing)
    letter = forms.Letter(signed(peer, site, forms.Package(**said).document()))
    writing.finish(secret, msgspec.json.encode(letter))
    return forms.show_code(secret)


def receive(stick: Path, peer: Peer, site: Any, written: dict[str, Any]) -> None:
    """Write the counterparty's receipt of what a connector wrote to a medium."""
    secret = forms.read_code(written["code"])
    package = next(
        each for each in medium.Medium(str(stick)).packages() if each.header.provider_pid == written["@id"]
    )
    letter = msgspec.json.decode(package.read(secret, medium.LETTER, medium.MAX_LETTER), type=forms.Letter)
    said = forms.read_package(msgspec.json.decode(letter.package.notice))
    document = receipt.Receipt(
        type=receipt.DELIVERY,
        agreement_id=said.agreement_id,
        provider_pid=said.provider_pid,
        consumer_pid=said.consumer_pid,
        manifest_sha256=said.manifest_sha256,
        files=said.files,
        size_bytes=said.size_bytes,
        time=said.time,
    ).document()
    message = signed(peer, site, {**document, "@id": "urn:carried:2"})
    package.write(secret, medium.RECEIPTS, msgspec.json.encode(forms.Receipts([message])))
