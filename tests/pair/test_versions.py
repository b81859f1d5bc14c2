"""The version endpoint settles how a partner is spoken to: old connectors are refused clearly, odd ones are found."""

import pytest

from comity import errors
from comity.controlplane import catalog, partners
from support.peer import BASE

HTTPS = {"version": "2025-1", "path": BASE, "binding": "HTTPS"}
OLD = {
    "2024-1": {"protocolVersions": [{"version": "2024/1", "path": "/2024/1"}]},
    "0.8": {
        "@context": {"dspace": "https://w3id.org/dspace/v0.8/"},
        "@type": "dspace:VersionResponse",
        "dspace:protocolVersions": {"dspace:version": "v0.8", "dspace:path": "/"},
    },
    "2024-1, 0.8": {
        "protocolVersions": [{"version": "2024/1", "path": "/2024/1"}, {"version": "v0.8", "path": "/"}]
    },
    "2025-1 (GRPC)": {"protocolVersions": [{**HTTPS, "binding": "GRPC"}]},
}


async def refused(site, *words, **more):
    with pytest.raises(errors.DeliveryError) as caught:
        await partners.add(site.connector, *words, **more)
    assert await site.rows("SELECT 1 FROM partner WHERE id = ?1", words[0]) == []
    return caught.value


@pytest.fixture
async def alone(started):
    return await started("alone")


@pytest.mark.parametrize("speaks", OLD)
@pytest.mark.parametrize("how", ["DID", "address", "base address"])
async def test_a_partner_that_speaks_earlier_versions_only_is_refused_with_both_sides_versions(
    alone, peer, speaks, how
):
    peer.versions[""] = OLD[speaks]
    words = [peer.address] if how == "address" else [peer.did]
    more = {"address": peer.address + "/2024/1"} if how == "base address" else {}
    error = await refused(alone, *words, **more)
    assert f"speaks {speaks}, and this connector speaks 2025-1 (HTTPS) only" in error.message
    assert "offer the Dataspace Protocol 2025-1" in error.hint


async def test_a_partner_without_a_version_endpoint_is_told_from_one_of_ours(alone, peer):
    peer.versions.clear()
    error = await refused(alone, peer.did)
    assert "0.8 or 2024-1" in error.message
    assert "this connector speaks 2025-1 only" in error.message
    assert "--address" in error.hint
    added = await partners.add(alone.connector, peer.did, address=peer.dsp)
    assert added.address == peer.dsp


async def test_an_old_partner_that_has_no_did_document_is_refused_for_its_version_not_for_the_document(
    alone, peer
):
    peer.did_status = 404
    peer.versions[""] = OLD["0.8"]
    assert "speaks 0.8, and" in (await refused(alone, peer.address)).message
    peer.versions[""] = {"protocolVersions": [HTTPS]}
    with pytest.raises(errors.IdentityError) as caught:
        await partners.add(alone.connector, peer.address)
    assert f"it answers at {peer.dsp}: give its DID, and --address {peer.dsp}" in caught.value.hint


@pytest.mark.parametrize(
    ("root", "path", "given"),
    [
        ("", BASE, ""),
        ("", BASE, "/"),
        ("", BASE, BASE),
        ("", BASE, BASE + "/"),
        ("", BASE, "/.well-known/dspace-version"),
        ("/api/v1/dsp", "/2025-1", "/api/v1/dsp"),
        ("/api/v1/dsp", "/2025-1", "/api/v1/dsp/2025-1"),
        ("/api/v1/dsp", "2025-1", "/api/v1/dsp/"),
        ("/api/v1/dsp", "/", "/api/v1/dsp"),
        ("/a/b", "/c/d/2025-1", "/a/b/c/d/2025-1"),
    ],
)
async def test_an_address_may_be_the_base_or_the_root_above_it(alone, peer, root, path, given):
    peer.versions = {root: {"protocolVersions": [{**HTTPS, "path": path}]}}
    added = await partners.add(alone.connector, peer.did, address=peer.address + given)
    assert added.address == (f"{peer.address}{root}/" + path.strip("/")).rstrip("/")


@pytest.mark.parametrize(
    "entries",
    [
        [{"version": "2024/1", "path": "/old"}, HTTPS, {**HTTPS, "path": "/second"}],
        [{**HTTPS, "path": "/oauth", "auth": {"protocol": "OAuth", "version": "2"}}, HTTPS],
        [{**HTTPS, "identifierType": "D-U-N-S", "path": "/duns"}, {**HTTPS, "identifierType": "did:web"}],
        [{**HTTPS, "binding": "GRPC", "path": "/grpc"}, HTTPS],
        [{**HTTPS, "serviceId": "urn:x", "more": {"a": 1}, "auth": {"protocol": "DCP", "version": "1.0"}}],
    ],
    ids=str,
)
async def test_of_several_entries_the_one_that_fits_is_taken(alone, peer, entries):
    peer.versions[""] = {"protocolVersions": entries}
    assert (await partners.add(alone.connector, peer.did)).address == peer.dsp


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[]", b"\xff", b""])
async def test_what_is_no_version_answer_does_not_outweigh_an_operators_word(alone, peer, body):
    peer.versions = {"": body}
    assert "is not a version answer" in (await refused(alone, peer.did)).message
    added = await partners.add(alone.connector, peer.did, address=peer.address + "/somewhere/2025-1")
    assert added.address == peer.address + "/somewhere/2025-1"


async def test_a_partner_that_is_away_is_added_by_its_address_and_keys(alone, peer):
    await peer.disappear()
    keys = [{**peer.key.public_jwk(), "kid": peer.key.kid}]
    added = await partners.add(alone.connector, peer.did, address=peer.dsp, keys=keys)
    assert added.address == peer.dsp


async def test_another_connectors_versions_on_the_same_host_are_not_this_ones(alone, peer):
    peer.versions = {"": {"protocolVersions": [{**HTTPS, "path": "/other"}]}}
    added = await partners.add(alone.connector, peer.did, address=peer.address + "/ours/2025-1")
    assert added.address == peer.address + "/ours/2025-1"


async def test_a_partner_that_was_updated_is_found_when_it_is_added_again(site, peer):
    peer.versions[""] = {"protocolVersions": [{**HTTPS, "path": "/new"}]}
    await site.befriend(peer)
    await catalog.request(site.connector, peer.did)
    assert peer.of("/catalog/request")[-1].path == "/new/catalog/request"


async def test_an_address_that_an_operator_gave_stays_when_a_partner_is_added_again(alone, peer):
    elsewhere = "http://127.0.0.1:1/proxy/2025-1"
    assert (await partners.add(alone.connector, peer.did, address=elsewhere)).address == elsewhere
    assert (await partners.add(alone.connector, peer.did)).address == elsewhere
    assert (await partners.add(alone.connector, peer.did, address="")).address == peer.dsp


@pytest.mark.parametrize(
    "path", ["/dsp/catalog/request", "/dsp/2024/1/negotiations/request", "/dsp/", "/dsp/2025-2/x"]
)
async def test_who_comes_to_the_place_of_another_version_learns_which_one_is_spoken(site, peer, path):
    async with peer._session.post(site.conf.address + path, data=b"{}") as answer:
        assert answer.status == 404
        assert "speaks the Dataspace Protocol 2025-1 only, below /dsp/2025-1" in await answer.text()
