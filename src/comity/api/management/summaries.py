"""What each endpoint of the management API does, in a few words: for the OpenAPI document and the page.

What the method says is not repeated here; a row stands where a method and a path alone would leave a reader guessing.
"""

from __future__ import annotations

from typing import Final

from comity.api.management import paths
from comity.api.management.paths import Key

_VERBS: Final = {
    ("POST", ""): "create",
    ("PUT", ""): "change",
    ("PUT", paths.ID): "change",
    ("POST", "request"): "find",
    ("GET", ""): "list",
    ("GET", paths.ID): "show",
    ("DELETE", paths.ID): "remove",
}
WORDS: Final[dict[Key, str]] = {
    ("POST", "policydefinitions", "{id}/validate"): "say whether every term is one that is enforced",
    ("POST", "policydefinitions", "{id}/evaluationplan"): "say how it is evaluated, term by term",
    ("POST", "catalog", "request"): "ask a partner for its catalog",
    ("POST", "catalog", "dataset/request"): "ask a partner for one dataset",
    ("POST", "catalogs", "request"): "ask all partners for their catalogs",
    ("POST", "contractnegotiations", ""): "ask a partner for an agreement, about an offer of its catalog",
    ("POST", "contractnegotiations", "offers"): "offer an agreement to a partner that did not ask",
    ("DELETE", "contractnegotiations", "{id}"): "remove one that ended without an agreement",
    ("POST", "contractnegotiations", "{id}/accept"): "accept the provider's offer",
    ("POST", "contractnegotiations", "{id}/offer"): "make a counter-offer, as the provider",
    ("POST", "contractnegotiations", "{id}/request"): "make a counter-offer, as the consumer",
    ("POST", "contractnegotiations", "{id}/agree"): "agree, as the provider",
    ("POST", "contractnegotiations", "{id}/verify"): "verify the agreement, as the consumer",
    ("POST", "contractnegotiations", "{id}/finalize"): "finalize the agreement, as the provider",
    ("POST", "contractagreements", "retirements"): "let nothing be transferred under an agreement any more",
    ("POST", "contractagreements", "retirements/request"): "find those that are retired",
    ("DELETE", "contractagreements", "retirements/{id}"): "take an agreement's retirement back",
    (
        "POST",
        "contractagreements",
        "{id}/evidence",
    ): "export what is held of it, as a bundle for a third party",
    ("POST", "transferprocesses", ""): "ask for the data of an agreement",
    (
        "POST",
        "transferprocesses",
        "{id}/deprovision",
    ): "accepted of one that has ended; there is nothing to do",
    ("POST", "edrs", ""): "negotiate, and start the transfer when the agreement is in force",
    ("GET", "edrs", "{id}/dataaddress"): "show the address and the token of a transfer's data",
    ("POST", "edrs", "{id}/refresh"): "get a new token for a transfer's data",
    ("DELETE", "edrs", "{id}"): "forget address and token; the transfer goes on",
    ("POST", "connectordiscovery", "dspversionparams"): "find how a partner is spoken to",
    ("POST", "connectordiscovery", "connectors"): "find the connectors that a DID document names",
    ("POST", "protocol-versions", "request"): "ask a partner which protocol versions it speaks",
    ("POST", "licences", ""): "write a licence down, or change its quantity and end",
    (
        "POST",
        "readings",
        "",
    ): "read an asset at its partner: an agreement and a started transfer, nothing fetched",
    ("POST", "readings", "request"): "find those that nobody has ended",
    ("DELETE", "readings", "{id}"): "end one; the partner is told",
    ("GET", "readings", "{id}/files"): "list the files",
    ("GET", "readings", "{id}/files/{path}"): "read a file or a range of it, from the partner",
    ("HEAD", "readings", "{id}/files/{path}"): "show the size and the entity tag of a file",
    ("POST", "received", "{id}/open"): "be told where it lies, if its terms allow that now",
    ("POST", "received", "{id}/attest"): "state that terms are kept, and tell the provider",
    ("POST", "packages", ""): "hash a folder and offer it, as the next revision if it was published before",
    ("GET", "packages", "publishing"): "what is being hashed now, and how far that is",
    ("POST", "exchanges", ""): "get a dataset: from the catalog to files",
    ("POST", "deletions", ""): "delete what was received, and sign that to its provider",
    ("POST", "deletions", "request"): "find what is to be deleted, here and at partners, and until when",
    ("POST", "receipts", "request"): "find receipts of deliveries and deletions, ours and partners'",
    ("GET", "events", ""): "read on after an event; with Accept: text/event-stream as a stream",
    ("POST", "identity", "rotate"): "publish a new key now and sign with it later",
    ("DELETE", "identity", "{id}"): "take a key out of the DID document at once",
}
"""Endpoint -> words, where method and path do not say it."""


def summary(key: Key) -> str:
    """Return a few words for an endpoint: what is done, to what."""
    method, noun, rest = key
    words = WORDS.get(key) or _VERBS.get((method, rest))
    return f"{noun}: {words or ' '.join(part for part in rest.split('/') if part != paths.ID)}"
