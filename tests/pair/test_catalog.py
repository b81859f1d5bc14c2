"""What a partner sees of the catalog: one answer for the list, its pages, a dataset by id and a negotiation."""

import base64
import gzip
import re

import aiohttp
import pytest
from aiohttp import web

from comity import errors
from comity.cli import described
from comity.controlplane import catalog, offering, partners, publish
from comity.db.partners import Partner
from support import schemas, wire
from support.pair import offer_of
from support.process import Process


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    monkeypatch.setattr(catalog, "PAGE_DATASETS", 2)


def only(partner_did):
    return wire.constrained("recipient", "eq", partner_did)


def related(answer, relation):
    links = [re.fullmatch(rf'<(.+)>; rel="{relation}"', each) for each in answer.headers.getall("Link", [])]
    return next((each for each in links if each), None)


async def pages(site, peer, **fields):
    """Every page as the links lead, with the links' own words."""
    documents, path, links = [], "/catalog/request", []
    while path:
        answer = await peer.send(site, path, wire.message("CatalogRequestMessage", **fields))
        assert answer.status == 200, answer.body
        assert not schemas.problems(answer.document)
        documents.append(answer.document)
        link = related(answer, "next")
        links += [link[1]] if link else []
        path = link[1].removeprefix(site.dsp) if link else None
    return documents, links


def ids(documents):
    return [dataset["@id"] for document in documents for dataset in document.get("dataset", [])]


@pytest.fixture
async def mixed(site, peer):
    """Seven assets, of which the peer may see four."""
    for at in range(7):
        access = only(peer.did) if at in {0, 2, 4, 6} else only("did:web:somebody.example")
        await site.publish(
            f"asset-{at}-{'shown' if at in {0, 2, 4, 6} else 'hidden'}", access_policy=access, policy=wire.USE
        )
    return site


async def test_pages_hold_what_may_be_seen_each_once_and_in_order(mixed, peer):
    documents, links = await pages(mixed, peer)
    assert ids(documents) == ["asset-0-shown", "asset-2-shown", "asset-4-shown", "asset-6-shown"]
    assert len(documents) == 2
    assert len(links) == 1


async def test_previous_leads_back_over_the_same_pages(mixed, peer):
    fields = {"filter": [{"limit": 1}]}
    forth, _ = await pages(mixed, peer, **fields)
    assert [ids([each]) for each in forth] == [[f"asset-{at}-shown"] for at in (0, 2, 4, 6)]
    path, back = "/catalog/request", []
    while link := related(
        await peer.send(mixed, path, wire.message("CatalogRequestMessage", **fields)), "next"
    ):
        path = link[1].removeprefix(mixed.dsp)
    while path:
        answer = await peer.send(mixed, path, wire.message("CatalogRequestMessage", **fields))
        back.append(answer.document)
        link = related(answer, "previous")
        path = link[1].removeprefix(mixed.dsp) if link else None
    assert ids(back) == list(reversed(ids(forth)))
    assert not related(answer, "previous")


async def test_a_link_does_not_name_what_is_hidden(mixed, peer):
    _, links = await pages(mixed, peer)
    for link in links:
        token = link.rpartition("page=")[2]
        plain = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        assert b"hidden" not in plain


async def test_a_hidden_offer_is_unknown_in_every_way_of_asking(mixed, peer, peers):
    hidden, missing = "asset-1-hidden", "asset-9-hidden"
    documents, _ = await pages(mixed, peer)
    assert hidden not in ids(documents)
    by_id = [await peer.get(mixed, f"/catalog/datasets/{each}") for each in (hidden, missing)]
    assert [answer.status for answer in by_id] == [404, 404]
    assert by_id[0].body == by_id[1].body
    seen = offer_of(await peer.dataset(mixed, "asset-0-shown"))
    real_id = await _offer_id(mixed, hidden)
    answers = []
    for asset_id, offer_id in (
        (hidden, real_id),
        (hidden, "urn:x"),
        (missing, "urn:x"),
        (hidden, seen["@id"]),
    ):
        offer = {**seen, "@id": offer_id, "target": asset_id}
        answer = await Process(peer, mixed).ask(offer)
        answers.append((answer.status, answer.document["code"], answer.reason))
    assert set(answers) == {answers[0]}
    assert answers[0][0] == 400


async def _offer_id(site, asset_id):
    stranger = Partner(
        id="did:web:somebody.example", name="", address="", keys=[], pinned=False, attributes={}, created_at=0
    )
    found = await site.connector.database.read(lambda tx: offering.find_by_asset(tx, stranger, asset_id, 0))
    return found[0].offer_id


async def test_an_offer_hidden_later_cannot_be_taken_by_its_old_id(site, peer):
    await site.publish(access_policy=wire.USE, policy=wire.USE)
    offer = offer_of(await peer.dataset(site))
    await site.publish(access_policy=only("did:web:somebody.example"), policy=wire.USE)
    assert (await Process(peer, site).ask(offer)).status == 400
    assert (await peer.get(site, "/catalog/datasets/asset")).status == 404


async def test_an_offer_whose_terms_changed_is_unknown_by_its_old_id(site, peer):
    await site.publish(policy=wire.USE)
    offer = offer_of(await peer.dataset(site))
    await site.publish(policy=wire.until("2099-12-31"))
    assert (await Process(peer, site).ask(offer)).status == 400


async def test_an_offer_withdrawn_while_terms_are_on_the_table_ends_the_negotiation(site, peer):
    await site.publish(policy=wire.USE)
    offer = offer_of(await peer.dataset(site))
    process = Process(peer, site)
    assert (await process.ask({**offer, "permission": [{"action": "read"}]})).status == 201
    await site.reaches(process.theirs, "OFFERED")
    await site.publish(access_policy=only("did:web:somebody.example"), policy=wire.USE)
    await process.send("ContractRequestMessage", offer=offer)
    await site.reaches(process.theirs, "TERMINATED")


async def test_a_contract_policy_that_does_not_hold_is_seen_but_not_agreed(site, peer):
    await site.publish(policy=wire.constrained("purpose", "eq", "urn:repair"), access_policy=wire.USE)
    process = Process(peer, site)
    assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
    await site.reaches(process.theirs, "TERMINATED")
    assert "purpose" in peer.of("/termination")[0].document["reason"][0]
    await partners.add(site.connector, peer.did, purpose=["urn:repair"])
    process = Process(peer, site)
    assert (await process.ask(offer_of(await peer.dataset(site)))).status == 201
    await site.reaches(process.theirs, "AGREED")


async def test_every_term_is_shown_with_who_sees_to_it_and_decides_as_it_is_shown(site, peer):
    member = {"leftOperand": "cx-policy:Membership", "operator": "eq", "rightOperand": "active"}
    liable = {"leftOperand": "Liability", "operator": "eq", "rightOperand": "cx.grossNegligence"}
    policy = {
        "permission": [{"action": "use", "constraint": [{"and": [member, liable]}]}],
        "prohibition": [{"action": "distribute"}],
        "obligation": [{"action": "delete"}],
    }
    await site.publish(policy=policy, access_policy=wire.USE)
    documents, _ = await pages(site, peer)
    [dataset] = documents[0]["dataset"]
    [offer] = dataset["hasPolicy"]
    assert {each["comity:offer"] for each in dataset["comity:enforcement"]} == {offer["@id"]}
    assert [(each["comity:term"], each["comity:enforced"]) for each in dataset["comity:enforcement"]] == [
        ("Membership eq active", "provider-enforced"),
        ("Liability eq cx.grossNegligence:1", "contract-only"),
        ("distribute", "node-enforced"),
        ("delete", "attested"),
    ]
    process = Process(peer, site)
    assert (await process.ask(offer_of(dataset))).status == 201
    await site.reaches(process.theirs, "TERMINATED")
    refusal = "the policy does not allow it: Membership eq active: not stated"
    assert peer.of("/termination")[0].document["reason"] == [refusal]
    await partners.add(site.connector, peer.did, attributes={"Membership": ["active"]})
    process = Process(peer, site)
    assert (await process.ask(offer_of(dataset))).status == 201
    await site.reaches(process.theirs, "AGREED")


async def test_an_empty_catalog_is_a_catalog(site, peer):
    documents, _ = await pages(site, peer)
    assert ids(documents) == []


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "%00",
        "W10",
        base64.urlsafe_b64encode(b'[99999999999999999999999, "a"]').decode(),
        base64.urlsafe_b64encode(b'[-9223372036854775809, "a"]').decode(),
        base64.urlsafe_b64encode(b'[1.5, "a"]').decode(),
        base64.urlsafe_b64encode(b'[1, "\\ud800"]').decode(),
        "%C3%A9",
        "a" * 5000,
    ],
)
async def test_a_page_that_is_none_of_ours_is_refused(site, peer, token):
    answer = await peer.send(site, f"/catalog/request?page={token}", wire.message("CatalogRequestMessage"))
    assert answer.status == 400, answer.body
    assert answer.document["@type"] == "CatalogError"


@pytest.mark.parametrize(
    "wanted",
    ["text", 3, ["text"], [3], [{"a": 1}], [[]], [{"limit": 0}], [{"limit": -1}], [{"limit": "x"}], [{}, {}]],
)
async def test_a_filter_that_is_not_understood_is_refused(site, peer, wanted):
    answer = await peer.send(site, "/catalog/request", wire.message("CatalogRequestMessage", filter=wanted))
    assert answer.status == 400, answer.body
    assert "filter" in answer.reason
    assert not schemas.problems(answer.document)


@pytest.mark.parametrize("asset_id", ["a/b", "ä ö", "urn:x:1?y=2", "a%2Fb", "..", "'; DROP TABLE asset; --"])
async def test_a_dataset_is_found_by_any_id_it_may_have(pair, asset_id):
    folder = pair.provider.folder.parent / "published" / "some"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    await publish.publish(pair.provider.connector, str(folder), asset_id=asset_id)
    found = await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, asset_id)
    assert found["@id"] == asset_id
    record = await pair.consumer.request(pair.provider, offer_of(found))
    await pair.consumer.reaches(record.id, "FINALIZED")


async def test_our_own_client_gathers_every_page(pair):
    for at in range(5):
        await pair.provider.publish(f"asset-{at}")
    found = await catalog.request(pair.consumer.connector, pair.provider.did)
    assert sorted(dataset["@id"] for dataset in found["dataset"]) == [f"asset-{at}" for at in range(5)]


async def test_a_filter_travels_with_the_context_that_gives_its_words_a_meaning(site, peer):
    async def page(peer, request, seen):
        return web.json_response(wire.message("Catalog", id_="urn:c"))

    peer.script("/catalog/request", page, page)
    criterion = {"operandLeft": "id", "operator": "=", "operandRight": "a"}
    await catalog.request(site.connector, peer.did, query={"filterExpression": [criterion]})
    await catalog.request(site.connector, peer.did)
    filtered, whole = (each.document for each in peer.of("/catalog/request"))
    assert filtered["@context"] == [*whole["@context"], "https://w3id.org/edc/dspace/v0.0.1"]
    assert filtered["filter"] == [{"filterExpression": [criterion]}]
    assert "filter" not in whole


@pytest.mark.parametrize("bound", [{"MAX_CATALOG_BYTES": 5000}, {"MAX_PAGES": 20}])
async def test_a_catalog_without_end_is_given_up(site, peer, monkeypatch, bound):
    for name, value in bound.items():
        monkeypatch.setattr(catalog, name, value)

    async def page(peer, request, seen):
        at = int(request.query.get("page", 0)) + 1
        document = wire.message("Catalog", id_="urn:c", dataset=[{"@id": f"urn:d:{at}"}])
        link = f'<{peer.dsp}/catalog/request?page={at}>; rel="next"'
        return web.json_response(document, headers={"Link": link})

    peer.script("/catalog/request", *[page] * 200)
    with pytest.raises(errors.PermanentDeliveryError, match="a catalog of more than"):
        await catalog.request(site.connector, peer.did)
    assert len(peer.of("/catalog/request")) < 50


async def raw(peer, site, path, *, accept=None, document=None, **more):
    """Send a request as `peer` does, and return the answer with its body as it came over the wire."""
    body = b"" if document is None else wire.encode(document)
    headers = {
        "Authorization": "Bearer " + peer.token(site.did, body),
        "Accept-Encoding": accept or "identity",
        **more,
    }
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        method = "GET" if document is None else "POST"
        async with session.request(method, site.dsp + path, data=body or None, headers=headers) as answer:
            return answer.status, answer.headers, await answer.read()


async def test_catalog_and_dataset_come_packed_for_who_takes_that(site, peer, monkeypatch):
    monkeypatch.setattr(catalog, "PAGE_DATASETS", 100)
    for at in range(10):
        await site.publish(f"asset-{at}", policy=wire.USE, properties={"dct:description": "a part " * 200})
    for path, document in (
        ("/catalog/request", wire.message("CatalogRequestMessage")),
        ("/catalog/datasets/asset-1", None),
    ):
        status, headers, plain = await raw(peer, site, path, document=document)
        assert (status, "Content-Encoding" in headers, headers["Vary"]) == (200, False, "Accept-Encoding")
        status, headers, packed = await raw(peer, site, path, document=document, accept="gzip, deflate")
        assert (status, headers["Content-Encoding"]) == (200, "gzip")
        assert gzip.decompress(packed) == plain
        assert len(packed) < len(plain)


async def test_our_own_client_takes_a_packed_catalog_and_its_links(pair):
    for at in range(5):
        await pair.provider.publish(f"asset-{at}", policy=wire.until("2099-12-31"))
    found = await catalog.request(pair.consumer.connector, pair.provider.did)
    assert len(found["dataset"]) == 5
    asked = [each for each in pair.provider.captured if each.path.endswith("/catalog/request")]
    assert {each.headers["accept-encoding"] for each in asked} == {"gzip"}
    assert len(asked) == 3


@pytest.mark.parametrize("path", ["/catalog/request", "/negotiations/request", "/transfers/request"])
async def test_a_packed_request_is_refused_without_being_unpacked(site, peer, path):
    body = gzip.compress(wire.encode(wire.message("CatalogRequestMessage")))
    status, headers, answer = await raw(peer, site, path, document=body, **{"Content-Encoding": "gzip"})
    assert (status, headers["Accept-Encoding"]) == (415, "identity")
    assert b"compressed" in answer


async def test_of_a_long_request_its_digest_alone_is_kept(site, peer):
    for more in ({}, {"more": "x" * (64 << 10)}):
        asked = wire.message("CatalogRequestMessage") | more
        assert (await peer.send(site, "/catalog/request", asked)).status == 200
    kept = await site.rows("SELECT length(body) FROM evidence ORDER BY seq")
    assert [bool(each) for (each,) in kept] == [True, False]


SUBMODEL = "https://w3id.org/catenax/taxonomy#Submodel"
ITEM_STOCK = "urn:samm:io.catenax.item_stock:2.0.0#ItemStock"
AS_CATENA_X_ASKS = {
    "'http://purl.org/dc/terms/type'.'@id'": SUBMODEL,
    "'https://purl.org/dc/terms/type'.'@id'": SUBMODEL,  # wrong, and written so in some standards and samples
    "https://w3id.org/catenax/ontology/common#version": "3.0",
    "'https://w3id.org/catenax/ontology/common#version'": "3.0",
    "'https://admin-shell.io/aas/3/0/HasSemantics/semanticId'.'@id'": ITEM_STOCK,
}


async def test_what_catena_x_clients_ask_for_is_found_as_they_ask(site, peer):
    said = described.properties("cx-taxo:Submodel", "3.0", ITEM_STOCK)
    await site.publish("stock", properties=said, policy=wire.USE)
    await site.publish("other", policy=wire.USE)

    async def asked(*criteria):
        query = {
            "@type": "https://w3id.org/edc/v0.0.1/ns/QuerySpec",
            "offset": 0,
            "limit": 50,
            "filterExpression": [
                {
                    "@type": "https://w3id.org/edc/v0.0.1/ns/Criterion",
                    "operandLeft": left,
                    "operator": "=",
                    "operandRight": right,
                }
                for left, right in criteria
            ],
        }
        return (await pages(site, peer, filter=[query]))[0]

    for each in AS_CATENA_X_ASKS.items():
        assert ids(await asked(each)) == ["stock"], each
    (found,) = await asked(*AS_CATENA_X_ASKS.items())
    (dataset,) = found["dataset"]
    assert dataset["dct:type"] == {"@id": SUBMODEL}
    assert dataset["https://w3id.org/catenax/ontology/common#version"] == "3.0"
    assert dataset["https://admin-shell.io/aas/3/0/HasSemantics/semanticId"] == {"@id": ITEM_STOCK}
    assert ids(await asked(("'http://purl.org/dc/terms/type'.'@id'", SUBMODEL + "s"))) == []
