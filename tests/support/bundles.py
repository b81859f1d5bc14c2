"""A bundle made by hand, of a deal that two keys signed: no connector, no store, so that tests of its form are quick.

`make` returns the parts before they are sealed, `seal` the file; a test changes a part in between, or the file.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from comity import strict_json
from comity.dsp import machine, messages, negotiation, terms
from comity.evidence import checkpoint, entry, sealing, tree
from comity.evidence.bundle import packed
from comity.identity import http_signature, jose, token
from comity.odrl import enforcement
from support import agreeing

PROVIDER, CONSUMER = "did:web:provider.example", "did:web:consumer.example"
KEYS = {did: jose.SigningKey.generate("key-1") for did in (PROVIDER, CONSUMER)}
STRANGER = jose.SigningKey.generate("key-1")
START = 1_790_000_000_000
PIDS = {"consumerPid": "urn:uuid:c-negotiation", "providerPid": "urn:uuid:p-negotiation"}
TRANSFER_PIDS = {"consumerPid": "urn:uuid:c-transfer", "providerPid": "urn:uuid:p-transfer"}
FRAMEWORK = agreeing.document((PROVIDER, CONSUMER))
URN = f"{FRAMEWORK['id']}#sha256:{strict_json.digest(FRAMEWORK).hex()}"
POLICY = {
    "permission": [
        {
            "action": "use",
            "constraint": [
                {"leftOperand": "recipient", "operator": "eq", "rightOperand": CONSUMER},
                {"leftOperand": "comity:frameworkAgreement", "operator": "eq", "rightOperand": URN},
            ],
        }
    ],
    "obligation": [{"action": "attribute"}],
}
OFFER = {"@id": "offer", "@type": "Offer", **POLICY, "target": "asset"}
AGREEMENT = negotiation.agreement_document(
    OFFER,
    agreement_id="urn:uuid:agreement",
    provider_id=PROVIDER,
    consumer_id=CONSUMER,
    timestamp="2026-09-21T00:00:00Z",
)
FOREIGN = b'{"someone":"else"}'


def jwk(did: str, key: jose.SigningKey | None = None) -> dict[str, Any]:
    return {**(key or KEYS[did]).public_jwk(), "kid": f"{did}#key-1"}


def document(kind: str, /, **members: Any) -> bytes:
    return strict_json.canonical({"@context": messages.CONTEXT, "@type": kind, **members})


def deal(agreement: dict[str, Any]) -> list[tuple[str, str, str, bytes, str]]:
    """Sender, message, kind, body, what is left out."""
    pids, transfer = PIDS, TRANSFER_PIDS
    reply = "https://consumer.example/dsp/2025-1"
    event = "ContractNegotiationEventMessage"
    return [
        (CONSUMER, machine.REQUEST, terms.NEGOTIATION,
         document("ContractRequestMessage", consumerPid=pids["consumerPid"], offer=OFFER, callbackAddress=reply), ""),
        (PROVIDER, machine.AGREEMENT, terms.NEGOTIATION,
         document("ContractAgreementMessage", **pids, agreement=agreement), ""),
        (CONSUMER, machine.VERIFICATION, terms.NEGOTIATION,
         document("ContractAgreementVerificationMessage", **pids), ""),
        (PROVIDER, machine.FINALIZE, terms.NEGOTIATION, document(event, **pids, eventType="FINALIZED"), ""),
        (CONSUMER, machine.TRANSFER_REQUEST, terms.TRANSFER,
         document("TransferRequestMessage", consumerPid=transfer["consumerPid"], agreementId=AGREEMENT["@id"],
                  format="HttpData-PULL", callbackAddress=reply), ""),
        (PROVIDER, machine.START, terms.TRANSFER,
         document("TransferStartMessage", **transfer, dataAddress={"secret": "x"}), "it holds an access token"),
        (CONSUMER, machine.COMPLETION, terms.TRANSFER, document("TransferCompletionMessage", **transfer), ""),
    ]  # fmt: skip


def record(
    at: int, sender: str, message: str, kind: str, body: bytes, *, signed: bool = True, keys: Any = KEYS
) -> tuple[entry.Entry, str, bytes]:
    """A record of the consumer's, with the token and the answer that lie beside it."""
    receiver = PROVIDER if sender == CONSUMER else CONSUMER
    digest, created = sha256(body).hexdigest(), at // 1000
    answer = document("ContractNegotiation", **PIDS, state="x")
    target = f"https://{receiver.rpartition(':')[2]}/dsp/2025-1/x"
    text = token.issue(
        keys[sender], issuer=sender, audience=receiver, jti=f"j{at}", now_s=created, body_sha256=digest
    )
    request = entry.Request(method="POST", target=target, note="not signed")
    reply = entry.Reply(status=200, sha256=sha256(answer).hexdigest(), note="not signed")
    if signed or sender == CONSUMER:
        lines = http_signature.request_lines("POST", target, digest)
        made = http_signature.sign(
            keys[sender], f"{sender}#key-1", http_signature.REQUEST, lines, created=created
        )
        request = msgspec.structs.replace(
            request, signature_input=made.parameters, signature=made.text, note=""
        )
    if signed or receiver == CONSUMER:
        lines = http_signature.reply_lines(200, reply.sha256, "POST", target, digest)
        made = http_signature.sign(
            keys[receiver], f"{receiver}#key-1", http_signature.REPLY, lines, created=created
        )
        reply = msgspec.structs.replace(reply, signature_input=made.parameters, signature=made.text, note="")
    process = (PIDS if kind == terms.NEGOTIATION else TRANSFER_PIDS)["consumerPid"]
    made_entry = entry.Entry(
        at=at,
        direction="out" if sender == CONSUMER else "in",
        message=message,
        sha256=digest,
        sender=sender,
        receiver=receiver,
        kind=kind,
        process_id=process,
        token_sha256=sha256(text.encode()).hexdigest(),
        outcome="acknowledged" if sender == CONSUMER else "accepted",
        request=request,
        reply=reply,
    )
    return made_entry, text, answer


def make(
    *,
    signed: bool = True,
    early: bool = False,
    stamp: Any = None,
    authorities: tuple[str, ...] = (),
    agreement: dict[str, Any] = AGREEMENT,
) -> dict[str, Any]:
    """The parts of the consumer's bundle; `signed`: the provider signs; `stamp(note)` is what an authority answers.

    The records of an `early` version have their tokens inside, no signatures, and nothing beside them.
    """
    said = deal(agreement)
    made = [(*record(START + 1000 * at, *each[:4], signed=signed), each) for at, each in enumerate(said, 1)]
    written = [_early(each, text) if early else entry.encode(each) for each, text, *_ in made]
    rows = [row for each in written for row in (FOREIGN, each)] + [FOREIGN]
    leaves = [tree.leaf(each) for each in rows]
    records = [
        {
            "chain": 0,
            "seq": 2 * at + 2,
            "record": packed(rows[2 * at + 1]),
            "proof": [packed(each) for each in tree.inclusion(leaves, 2 * at + 1)],
            **({"withheld": {"body": "it was not kept"}} if early else _beside(text, answer, body, left_out)),
        }
        for at, (_, text, answer, (*_, body, left_out)) in enumerate(made)
    ]
    kinds = (("negotiation", PIDS, ""), ("transfer", TRANSFER_PIDS, AGREEMENT["@id"]))
    return {
        "head": {"exporter": CONSUMER, "partner": PROVIDER, "exportedAt": START + 3_600_000},
        "agreement": {
            "id": AGREEMENT["@id"],
            "negotiationId": PIDS["consumerPid"],
            "document": agreement,
            "offer": OFFER,
            "createdAt": START + 2000,
            "finalized": True,
        },
        "subjects": [
            {
                "id": pids["consumerPid"],
                "kind": kind,
                "counterpartyPid": pids["providerPid"],
                **({"agreementId": agreement} if agreement else {}),
                "state": "x",
            }
            for kind, pids, agreement in kinds
        ],
        "keys": [
            {"participantId": did, "kid": f"{did}#key-1", "jwk": jwk(did), "seenAt": START - 5000}
            for did in (CONSUMER, PROVIDER)
        ],
        "authorities": list(authorities),
        "checkpoints": [heads(leaves, stamp=stamp, signed=signed)],
        "records": records,
        "frameworks": [
            {
                "urn": URN,
                "document": FRAMEWORK,
                "signatures": [
                    {"party": PROVIDER, "mediaType": "application/pkcs7-signature", "content": packed(b"CMS")}
                ],
            }
        ],
        "terms": enforcement.document(agreement),
    }


def _beside(text: str, answer: bytes, body: bytes, left_out: str) -> dict[str, Any]:
    message = {"withheld": {"body": left_out}} if left_out else {"body": packed(body)}
    return {"token": text, "answer": packed(answer), **message}


def _early(record: entry.Entry, text: str) -> bytes:
    members = msgspec.to_builtins(record)
    for name in ("tokenSha256", "request", "reply"):
        del members[name]
    return strict_json.canonical({**members, "token": text})


def heads(leaves: list[bytes], *, stamp: Any, signed: bool) -> dict[str, Any]:
    """The newest checkpoint, and one of before that the partner cosigned and an authority stamped."""
    old, name = len(leaves) - 4, checkpoint.origin(CONSUMER, 0)
    before, newest = (
        checkpoint.Checkpoint(name, size, tree.root(leaves[:size])) for size in (old, len(leaves))
    )
    line = checkpoint.cosign(before, PROVIDER, KEYS[PROVIDER], time_s=START // 1000 + 60)
    note = checkpoint.sign(before, KEYS[CONSUMER])
    earlier = {
        "note": note,
        "consistency": [packed(each) for each in tree.consistency(leaves, old)],
        **(
            {"cosignatures": [{"participantId": PROVIDER, "line": line, "at": START + 61_000}]}
            if signed
            else {}
        ),
        **({"stamp": packed(stamp(note))} if stamp else {}),
    }
    return {"chain": 0, "note": checkpoint.sign(newest, KEYS[CONSUMER]), "earlier": [earlier]}


def seal(parts: dict[str, Any], key: jose.SigningKey | None = None) -> bytes:
    return sealing.sealed(parts, key or KEYS[CONSUMER], issuer=CONSUMER, now_s=START // 1000 + 3600)
