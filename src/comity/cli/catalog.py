"""`comity catalog`: what a partner offers to us, as a table, or one asset with all its terms.

Terms are shown as sentences by `words`; what a partner may see is decided at the partner's side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from comity.cli import ids, output, people, words
from comity.cli.invocation import AsJson, Data, Invocation
from comity.client import choosing

Document = dict[str, Any]

Named = Annotated[
    str, typer.Argument(metavar="PARTNER", help="Its name, DID or address, or how one of these begins.")
]
Asset = Annotated[str, typer.Argument(metavar="ASSET", help="Show this one, with all its offers.")]


def catalog(
    ctx: typer.Context,
    *,
    partner: Named,
    asset: Asset = "",
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Show what a partner offers you, and under which terms."""
    here = Invocation(ctx)
    found = people.find(here.connector, partner)
    fetched = here.connector.catalog(people.identity(found))
    datasets = words.datasets(fetched)
    called = output.clean(found.get("name") or people.identity(found))
    names = {people.identity(found): called}
    if asset:
        _show(here, choose(datasets, asset, here.command("catalog", called)), names)
    elif here.as_json:
        output.document(fetched)
    elif not datasets:
        output.line(f"{called} offers you nothing now; what you may see is decided by its access policies")
    else:
        _list(here, datasets, names)


def choose(datasets: Sequence[Document], text: str, see: str) -> Document:
    """Return the dataset that a person means by its id or its title, whole or how it begins; `see` lists them.

    Raises:
        NotFoundError: the catalog has none.
        InvalidInputError: it has several.
    """
    by_id = {str(each.get("@id")): each for each in datasets}
    titled = choosing.titled({name: words.title(each) for name, each in by_id.items()}, text)
    if text not in by_id and titled:
        return by_id[titled]
    return by_id[ids.find(text, by_id.keys(), "asset", hint=f"see what it offers you with: {see}")]


def _revision(dataset: Document) -> str:
    """Return the number of the revision that is offered, and what became of it if it is not released."""
    number, state = dataset.get("comity:revision"), dataset.get("comity:revisionStatus")
    return f"{number}{f', {state}' if state not in (None, 'released') else ''}" if number else ""


def size(dataset: Document) -> str:
    """Return the size of a dataset in words, empty when it is not told."""
    return words.size(dataset.get("dcat:byteSize") or dataset.get("byteSize") or "")


def _list(here: Invocation, datasets: Sequence[Document], names: dict[str, str]) -> None:
    short = ids.shorten([str(each.get("@id")) for each in datasets])
    output.table(
        ("Asset", "Title", "Size", "Terms"),
        [
            (
                short[str(each.get("@id"))],
                words.title(each),
                size(each),
                " | ".join(_terms(here, each, names)),
            )
            for each in datasets
        ],
    )


def _terms(here: Invocation, dataset: Document, names: dict[str, str]) -> list[str]:
    said = [words.terms(each, us=here.us, names=names) for each in words.offers(dataset)]
    return list(dict.fromkeys(said)) or ["no offer"]


def _show(here: Invocation, dataset: Document, names: dict[str, str]) -> None:
    if here.as_json:
        output.document(dataset)
        return
    listed = words.offers(dataset)
    us = here.us
    output.pairs(
        [
            ("asset", dataset.get("@id")),
            ("title", words.title(dataset)),
            ("files", dataset.get("comity:files")),
            ("size", size(dataset)),
            ("manifest", dataset.get("comity:manifestSha256")),
            ("revision", _revision(dataset)),
            *(
                row
                for at, each in enumerate(listed, start=1)
                for row in _offer(f"offer {at}", each, us, names)
            ),
        ]
    )


def _offer(name: str, offer: Document, us: str, names: dict[str, str]) -> list[tuple[str, object]]:
    return [(name, words.terms(offer, us=us, names=names)), *words.enforced(offer)]
