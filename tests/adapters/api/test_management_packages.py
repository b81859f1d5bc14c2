"""Files and folders of the operator behind the management API: what may be published, and from where."""

import asyncio
import os

import pytest

from comity.controlplane import framework_proposals as proposals
from comity.techdata.effectivity import Effectivity
from support import agreeing
from support.edc import USE

EVIL = [
    "/etc/passwd",
    "{root}/../../../../../../../../etc/passwd",
    "{root}/link",
    "relative/a.txt",
    "a\x00b",
    "{root}/a.txt\x00",
    "{root}x",
]


@pytest.fixture
def folder(site):
    """A folder with two files and a link that leaves it."""
    made = site.folder.parent / "shelf"
    made.mkdir()
    (made / "a.txt").write_bytes(b"hello")
    (made / "b.bin").write_bytes(b"x" * 1000)
    return made


@pytest.mark.parametrize("path", EVIL)
async def test_a_file_outside_the_roots_is_no_asset(api, site, folder, path):
    (folder / "link").symlink_to("/etc/passwd")
    (folder.parent.parent / f"{folder.parent.name}x").mkdir()
    path = path.replace("{root}x", f"{folder.parent}x").replace("{root}", str(folder))
    answer = await api.post("assets", {"@id": "a", "dataAddress": {"type": "File", "path": path}})
    assert (answer.status, answer.problem["type"]) == (422, "storage")
    assert "storage.roots" in answer.problem["hint"]
    assert await api.found("assets/request") == []


async def test_what_is_no_file_is_no_asset(api, folder):
    os.mkfifo(folder / "pipe")
    for path in (folder, folder / "pipe", folder / "nothing", "/dev/zero"):
        answer = await api.post("assets", {"@id": "a", "dataAddress": {"type": "File", "path": str(path)}})
        assert (answer.status, answer.problem["type"]) == (422, "storage"), path
    assert await api.found("assets/request") == []


async def test_a_file_is_an_asset_and_is_hashed_again_when_it_is_put(api, site, folder):
    body = {"@id": "a", "dataAddress": {"type": "File", "path": str(folder / "a.txt")}}
    await api.created("assets", body)
    before = await site.rows("SELECT content_id FROM asset")
    (folder / "a.txt").write_bytes(b"another")
    assert (await api.put("assets", body)).status == 204
    assert await site.rows("SELECT content_id FROM asset") != before


@pytest.mark.parametrize("path", EVIL)
async def test_a_folder_outside_the_roots_is_not_published(api, site, folder, path):
    (folder / "link").symlink_to("/etc")
    (folder.parent.parent / f"{folder.parent.name}x").mkdir()
    path = path.replace("{root}x", f"{folder.parent}x").replace("{root}", str(folder))
    answer = await api.post("packages", {"folder": path})
    assert (answer.status, answer.problem["type"]) == (422, "storage")
    assert "storage.roots" in answer.problem["hint"]
    assert await site.rows("SELECT id FROM asset") == []


async def test_a_folder_is_published_with_its_policy(api, folder):
    published = await api.post(
        "packages",
        {
            "folder": str(folder),
            "assetId": "p",
            "title": "A shelf",
            "policy": USE,
            "properties": {"dct:creator": "me"},
        },
    )
    assert published.status == 200
    told = published.json
    assert (told["assetId"], told["files"], told["sizeBytes"], told["title"]) == ("p", 2, 1005, "A shelf")
    assert len(told["manifestSha256"]) == 64
    asset = (await api.get("assets/p")).json
    assert asset["properties"]["comity:manifestSha256"] == told["manifestSha256"]
    assert asset["properties"]["dct:creator"] == "me"
    assert asset["dataAddress"] == {"@type": "DataAddress", "type": "Package", "folder": str(folder)}
    (definition,) = await api.found("contractdefinitions/request")
    for field in ("accessPolicyId", "contractPolicyId"):
        assert (await api.get(f"policydefinitions/{definition[field].replace('#', '%23')}")).status == 200
    assert (await api.delete("assets/p")).status == 204


async def test_a_folder_published_again_is_the_next_revision_of_the_same_asset(api, folder):
    first = (await api.post("packages", {"folder": str(folder), "title": "A shelf", "policy": USE})).json
    (folder / "a.txt").write_bytes(b"another")
    second = (await api.post("packages", {"folder": str(folder)})).json
    assert (first["revision"], second["revision"]) == (1, 2)
    assert (second["assetId"], second["title"], second["policy"]) == (
        first["assetId"], "A shelf", first["policy"]
    )  # fmt: skip
    assert second["manifestSha256"] != first["manifestSha256"]
    asset = (await api.get(f"assets/{first['assetId']}")).json
    assert asset["properties"]["comity:manifestSha256"] == second["manifestSha256"]
    assert len(await api.found("contractdefinitions/request")) == 1


async def test_the_same_folder_published_again_is_no_new_revision(api, site, folder):
    body = {"folder": str(folder), "assetId": "p", "policy": USE}
    first = (await api.post("packages", body)).json
    os.utime(folder / "a.txt", ns=(1, 1))  # the same bytes, found again at another time
    again = (await api.post("packages", body)).json
    assert (again["revision"], again["unchanged"], first["unchanged"]) == (1, True, False)
    assert again["manifestSha256"] == first["manifestSha256"]
    [[state]] = await site.rows("SELECT count(*) FROM revision")
    assert state == 1


async def test_other_terms_for_the_same_files_are_a_new_revision_and_stay_when_nothing_is_said(api, folder):
    body = {"folder": str(folder), "assetId": "p"}
    await api.post("packages", {**body, "policy": USE})
    forbidden = {**USE, "prohibition": [{"action": "distribute"}]}
    assert (await api.post("packages", {**body, "policy": forbidden})).json["revision"] == 2
    (folder / "a.txt").write_bytes(b"another")
    third = (await api.post("packages", body)).json
    assert third["revision"] == 3
    assert third["policy"]["prohibition"] == forbidden["prohibition"]


def permits(*said, **more):
    names = ("leftOperand", "operator", "rightOperand")
    constraints = [dict(zip(names, each, strict=True)) for each in said]
    return {"@type": "Set", "permission": [{"action": "use", "constraint": constraints}], **more}


BETA, COUNT = ("recipient", "eq", "did:web:beta.example"), ("count", "lteq", "10")
NEVER = {"prohibition": [{"action": "distribute"}]}


async def test_a_term_that_is_not_said_again_does_not_fall_away_unseen(api, site, folder):
    body = {"folder": str(folder), "assetId": "p"}
    first = (await api.post("packages", {**body, "policy": permits(BETA, **NEVER)})).json
    (folder / "a.txt").write_bytes(b"another")
    body["keep"] = ["terms"]
    refused = await api.post("packages", {**body, "policy": permits(COUNT)})
    assert (refused.status, refused.problem["type"]) == (409, "conflict")
    assert refused.problem["message"] == (
        "p is published under terms that would fall away: by did:web:beta.example; never distribute"
    )
    assert "--new-terms" in refused.problem["hint"]
    assert (await site.manifest("p")).revision == first["revision"]
    said = await api.post(
        "packages", {**body, "policy": permits(("recipient", "eq", "did:web:c"), COUNT, **NEVER)}
    )
    assert said.json["revision"] == 2
    assert (await api.post("packages", {**body, "keep": [], "policy": permits(COUNT)})).json["revision"] == 3
    assert (await api.post("packages", {**body, "keep": ["title"]})).problem["path"] == "$.keep"


async def test_who_sees_it_stays_where_that_was_said_by_itself(api, site, folder):
    body = {"folder": str(folder), "assetId": "p"}
    await api.post("packages", {**body, "policy": USE, "accessPolicy": permits(BETA)})
    assert (await api.post("packages", {**body, "policy": permits(COUNT), "keep": ["terms"]})).status == 200
    seen = (await api.get("policydefinitions/p%23access")).json["policy"]
    assert "did:web:beta.example" in str(seen)
    opened = {**body, "policy": permits(COUNT), "accessPolicy": USE, "keep": ["terms"]}
    refused = await api.post("packages", opened)
    assert "would fall away: by did:web:beta.example" in refused.problem["message"]


async def test_a_framework_agreement_comes_to_the_terms_that_hold_and_takes_the_place_of_another(
    api, site, folder
):
    texts = str(agreeing.write(site.folder.parent / "texts"))
    urns = [
        await proposals.propose(
            site.connector,
            agreeing.document((site.did, BETA[2]), id=agreeing.ID[:-1] + last, releaseRules=agreeing.FREE),
            texts,
        )
        for last in "ab"
    ]
    body = {"folder": str(folder), "assetId": "p", "keep": ["terms"]}
    await api.post("packages", {**body, "policy": permits(BETA)})
    for urn in urns:
        answer = await api.post("packages", {**body, "framework": urn})
        assert answer.status == 200, answer.problem
        under = answer.json["policy"]
        [permission] = under["permission"]
        assert [each["rightOperand"] for each in permission["constraint"]] == [BETA[2], urn]
    refused = await api.post("packages", {**body, "policy": permits(BETA)})
    assert refused.problem["message"].endswith(f": under {urns[1]}; never distribute")


async def test_of_one_effectivity_the_members_that_are_not_said_stay(api, site, folder):
    body = {"folder": str(folder), "assetId": "p"}
    first = {"part": "P1", "plants": ["Ulm"], "serialFrom": "1", "serialTo": "100"}
    await api.post("packages", {**body, "effectivity": [first]})
    body["keep"] = ["effectivity"]
    more = {"serialFrom": "1", "serialTo": "150"}
    assert (await api.post("packages", {**body, "effectivity": [more]})).json["revision"] == 2
    meant = Effectivity(part="P1", plants=("Ulm",), serial_from="1", serial_to="150")
    assert (await site.manifest("p")).effectivity == (meant,)
    everything = {"part": "", "plants": [], "serialFrom": "", "serialTo": ""}
    await api.post("packages", {**body, "effectivity": [everything]})
    assert (await site.manifest("p")).effectivity == ()
    (folder / "comity-package.toml").write_text('[[effectivity]]\npart = "A"\n[[effectivity]]\npart = "B"\n')
    refused = await api.post("packages", {**body, "effectivity": [more]})
    assert (refused.status, refused.problem["path"]) == (400, "$.effectivity")
    assert "part A or part B" in refused.problem["message"]
    assert "comity-package.toml" in refused.problem["hint"]


async def test_a_package_whose_offer_was_removed_is_not_opened_to_everybody_by_publishing_it_again(
    api, folder
):
    await api.post("packages", {"folder": str(folder), "assetId": "p", "policy": USE})
    assert (await api.delete("contractdefinitions/p%23offer")).status == 204
    answer = await api.post("packages", {"folder": str(folder), "assetId": "p"})
    assert (answer.status, answer.problem["type"]) == (409, "conflict")
    assert "--to" in answer.problem["hint"]
    assert (await api.post("packages", {"folder": str(folder), "assetId": "p", "policy": USE})).status == 200


async def test_an_asset_that_is_no_package_is_not_published_over(api, folder):
    await api.created("assets", {"@id": "a", "dataAddress": {"type": "File", "path": str(folder / "a.txt")}})
    answer = await api.post("packages", {"folder": str(folder), "assetId": "a"})
    assert (answer.status, answer.problem["type"]) == (409, "conflict")


async def test_what_a_folder_says_of_itself_is_in_its_manifest_and_options_count_more(api, site, folder):
    (folder / "comity-package.toml").write_text(
        'id = "urn:alpha:shelf"\ntitle = "Shelf"\n'
        '[[effectivity]]\npart = "P1"\nserialFrom = "100"\nplants = ["Ulm"]\n'
        '[files."*.txt"]\ndocumentId = "D-1"\ndocumentClass = "02-02"\nrevision = "C"\n'
    )
    told = (await api.post("packages", {"folder": str(folder)})).json
    assert (told["assetId"], told["title"], told["files"]) == ("urn:alpha:shelf", "Shelf", 2)
    made = await site.manifest("urn:alpha:shelf")
    assert made.effectivity == (Effectivity(part="P1", serial_from="100", plants=("Ulm",)),)
    assert [(each.path, each.document_class) for each in made.files] == [("a.txt", "02-02"), ("b.bin", "")]
    assert made.sealed_by == site.did
    body = {"folder": str(folder), "title": "Other", "effectivity": [{"part": "P2"}]}
    assert (await api.post("packages", body)).json["revision"] == 2
    again = await site.manifest("urn:alpha:shelf")
    assert (again.title, again.effectivity) == ("Other", (Effectivity(part="P2"),))
    assert again.supersedes == told["manifestSha256"]


async def test_the_manifest_names_the_marking_of_its_terms_in_words(api, site, folder):
    marked = {**USE, "rdfs:label": "partners-only", "prohibition": [{"action": "distribute"}]}
    await api.post("packages", {"folder": str(folder), "assetId": "p", "policy": marked})
    marking = (await site.manifest("p")).marking
    assert (marking.name, marking.terms) == ("partners-only", ("prohibition distribute",))
    await api.post("packages", {"folder": str(folder), "assetId": "p", "policy": USE})
    assert (await site.manifest("p")).marking is None


async def test_what_is_not_said_again_of_a_package_stays(api, site, folder):
    said = {"properties": {"dct:creator": "me"}, "effectivity": [{"part": "P1"}], "title": "A shelf"}
    rule = {"approvers": ["alice"]}
    await api.post("apikeys", {"name": "alice", "role": "operator"})
    body = {"folder": str(folder), "assetId": "p"}
    first = await api.post("packages", {**body, **said, "policy": USE, "approval": rule})
    assert first.status == 200, first
    before = (await api.found("contractdefinitions/request"))[0]["approval"]
    (folder / "a.txt").write_bytes(b"another")
    assert (await api.post("packages", body)).json["revision"] == 2
    asset = (await api.get("assets/p")).json
    assert (asset["properties"]["dct:creator"], asset["properties"]["dct:title"]) == ("me", "A shelf")
    assert (await site.manifest("p")).effectivity == (Effectivity(part="P1"),)
    assert (await api.found("contractdefinitions/request"))[0]["approval"] == before


async def test_publishing_again_can_be_asked_for_alone(api, site, folder):
    answer = await api.post("packages", {"folder": str(folder), "again": True})
    assert (answer.status, answer.problem["type"]) == (404, "not-found")
    assert await site.rows("SELECT id FROM asset") == []
    await api.post("packages", {"folder": str(folder)})
    assert (await api.post("packages", {"folder": str(folder), "again": True})).json["unchanged"]


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ('title = "a\n', "line 1"),
        ("titel = 3\n", "titel"),
        ('[files."c.txt"]\nrevision = "1"\n', "c.txt"),
        ('[files."a.txt"]\ndocumentClass = "99-99"\n', "'99-99', of 'a.txt', is no document class"),
    ],
)
async def test_what_is_wrong_in_it_is_named_by_line_or_key(api, site, folder, written, place):
    (folder / "comity-package.toml").write_text(written)
    answer = await api.post("packages", {"folder": str(folder)})
    assert answer.status == 400
    assert place in f"{answer.problem['message']} {answer.problem.get('path')}"
    assert await site.rows("SELECT id FROM asset") == []


async def test_how_far_hashing_is_can_be_asked_while_it_goes_on(api, site, folder):
    os.truncate(folder / "b.bin", 64 * 1024 * 1024)
    publishing = asyncio.ensure_future(api.post("packages", {"folder": str(folder)}))
    seen = []
    while not publishing.done():
        seen += (await api.get("packages/publishing")).json
        await asyncio.wait([publishing], timeout=0.005)
    assert publishing.result().status == 200
    assert {each["folder"] for each in seen} == {str(folder)}
    assert seen[-1]["filesTotal"] == 2
    assert (await api.get("packages/publishing")).json == []


async def test_a_package_whose_properties_are_put_keeps_its_files(api, site, folder):
    await api.post("packages", {"folder": str(folder), "assetId": "p"})
    before = await site.rows("SELECT content_id FROM asset")
    asset = (await api.get("assets/p")).json
    asset["properties"]["dct:title"] = "renamed"
    assert (await api.put("assets", asset)).status == 204
    assert (await api.get("assets/p")).json["properties"]["dct:title"] == "renamed"
    assert await site.rows("SELECT content_id FROM asset") == before


@pytest.mark.parametrize("name", ["comity:manifestSha256", "comity:files", "dcat:byteSize"])
async def test_what_was_measured_cannot_be_said_otherwise(api, folder, name):
    answer = await api.post(
        "packages", {"folder": str(folder), "assetId": "p", "properties": {name: "other"}}
    )
    if answer.status == 200:
        assert (await api.get("assets/p")).json["properties"][name] != "other"
    else:
        assert (answer.status, answer.problem["path"]) == (400, f"$.properties.{name}")


@pytest.mark.parametrize("properties", [{"id": "other"}, {"@id": "other"}, {"edc:id": "other"}])
async def test_properties_do_not_hide_a_package_from_its_own_offer(pair, provider, consumer, properties):
    folder = pair.provider.folder.parent / "f"
    folder.mkdir()
    (folder / "a").write_bytes(b"x")
    answer = await provider.post(
        "packages", {"folder": str(folder), "assetId": "p", "properties": properties}
    )
    if answer.status != 200:
        assert (answer.status, answer.problem["path"].startswith("$.properties")) == (400, True)
        return
    found = await consumer.post("catalog/request", {"counterPartyId": pair.provider.did})
    assert [each["@id"] for each in found.json["dataset"]] == ["p"]


async def test_an_empty_folder_is_refused(api, site, folder):
    empty = folder / "empty"
    empty.mkdir()
    answer = await api.post("packages", {"folder": str(empty)})
    assert (answer.status, answer.problem["path"]) == (400, "$.folder")


async def test_a_folder_with_a_fifo_or_a_link_that_leaves_is_refused(api, site, folder):
    os.mkfifo(folder / "pipe")
    answer = await api.post("packages", {"folder": str(folder)})
    assert (answer.status, answer.problem["type"]) == (422, "storage")
    assert "pipe" in answer.problem["message"]
    assert answer.problem["hint"]
    (folder / "pipe").unlink()
    (folder / "out").symlink_to("/etc/passwd")
    answer = await api.post("packages", {"folder": str(folder)})
    assert (answer.status, answer.problem["type"]) == (422, "storage")
    assert await site.rows("SELECT id FROM asset") == []


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"folder": None}, "$.folder"),
        ({"folder": ""}, "$.folder"),
        ({"folder": 7}, "$.folder"),
        ({"assetId": "a\nb"}, "$.assetId"),
        ({"assetId": "x" * 1025}, "$.assetId"),
        ({"effectivity": {}}, "$.effectivity"),
        ({"effectivity": [{"part": 7}]}, "$.effectivity"),
        ({"effectivity": [{"serialFrom": "9", "serialTo": "3"}]}, "$.effectivity[0]"),
        ({"policy": {}}, "$.policy.permission"),
        ({"policy": {"permission": [{"action": "fly"}]}}, "$.policy.permission[0].action"),
        ({"policy": []}, "$.policy"),
        ({"accessPolicy": {"permission": [{"action": "fly"}]}}, "$.accessPolicy.permission[0].action"),
        ({"accessPolicy": {}}, "$.accessPolicy.permission"),
        ({"properties": []}, "$.properties"),
    ],
)
async def test_what_cannot_be_published_is_refused_with_its_place(api, site, folder, more, path):
    answer = await api.post("packages", {"folder": str(folder), **more})
    assert (answer.status, answer.problem["path"]) == (400, path)
    assert await site.rows("SELECT id FROM asset") == []


@pytest.mark.parametrize("path", [each for each in EVIL if "a.txt" not in each] + ["relative"])
async def test_an_exchange_does_not_leave_the_roots(pair, consumer, tmp_path, path):
    await pair.provider.publish()
    (tmp_path / "link").symlink_to("/etc")
    path = path.replace("{root}x", f"{tmp_path}x").replace("{root}", str(tmp_path))
    body = {"counterPartyId": pair.provider.did, "assetId": "asset", "destination": path}
    answer = await consumer.post("exchanges", body)
    assert (answer.status, answer.problem["type"]) == (422, "storage")
    assert "storage.roots" in answer.problem["hint"]
    assert await consumer.found("exchanges/request") == []
