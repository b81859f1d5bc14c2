"""Revisions behind the management API: history, manifest, changes, which applies, recall."""

import pytest


@pytest.fixture
async def published(api, site):
    """An asset with two revisions, the second for some serial numbers only."""
    folder = site.folder.parent / "drawings"
    folder.mkdir()
    for files, effectivity in (({"a": "1", "b": "2"}, []), ({"a": "3", "c": "2"}, [{"serialFrom": "SN-5"}])):
        for each in folder.iterdir():
            each.unlink()
        for name, content in files.items():
            (folder / name).write_text(content)
        body = {"folder": str(folder), "assetId": "bracket/17", "effectivity": effectivity}
        answer = await api.post("packages", body)
        assert answer.status == 200, answer.json
    return "bracket%2F17"


async def test_the_history_is_there_with_the_manifest_of_each(api, published):
    [newest] = (await api.get("revisions")).json
    assert (newest["assetId"], newest["revision"]) == ("bracket/17", 2)
    two, one = (await api.get(f"revisions/{published}")).json
    assert (two["revision"], two["state"], one["state"]) == (2, "released", "released")
    assert two["changes"] == {"added": 0, "removed": 0, "changed": 1, "renamed": 1}
    assert two["effectivity"] == [{"serialFrom": "SN-5"}]
    for number, paths in ((1, ["a", "b"]), (2, ["a", "c"]), (0, ["a", "c"])):
        asked = f"?revision={number}" if number else ""
        held = (await api.get(f"revisions/{published}/manifest{asked}")).json
        assert [each["path"] for each in held["files"]] == paths
    assert held["supersedes"] == one["manifestSha256"]


async def test_what_changed_is_told_by_file_between_any_two(api, published):
    found = (await api.get(f"revisions/{published}/changes")).json
    assert (found["changed"], found["renamed"]) == (["a"], [{"before": "b", "path": "c"}])
    first = (await api.get(f"revisions/{published}/changes?revision=1")).json
    assert first["added"] == ["a", "b"]
    assert "since" not in first
    back = (await api.get(f"revisions/{published}/changes?revision=1&since=2")).json
    assert back["renamed"] == [{"before": "c", "path": "b"}]


@pytest.mark.parametrize(("serial", "revision"), [("SN-4", 1), ("SN-5", 2), ("SN-10", 2), ("", 1)])
async def test_one_revision_applies(api, published, serial, revision):
    answer = await api.post("revisions/applies", {"assetId": "bracket/17", "serialNumber": serial})
    assert answer.json["revision"] == revision
    assert answer.json["deviations"] == []


async def test_a_recalled_revision_gives_its_place_to_an_older_one_that_is_released(api, site, published):
    body = {"revision": 2, "reason": "wrong"}
    assert (await api.post(f"revisions/{published}/recall", body)).status == 204
    again = await api.post(f"revisions/{published}/recall", body)
    assert (again.status, again.problem["type"]) == (409, "conflict")
    asset = (await api.get(f"assets/{published}")).json
    assert (asset["properties"]["comity:revision"], asset["properties"]["comity:revisionStatus"]) == (
        "1",
        "released",
    )
    assert (await api.post(f"revisions/{published}/recall", {"revision": 1, "reason": "too"})).status == 204
    asset = (await api.get(f"assets/{published}")).json
    assert asset["properties"]["comity:revisionStatus"] == "recalled"
    answer = await api.post("revisions/applies", {"assetId": "bracket/17"})
    assert "revision" not in answer.json
    recalls = [each for each in await site.entries("bracket/17") if each["message"] == "comity:Recalled"]
    assert [each["outcome"] for each in recalls] == ["recalled", "recalled"]


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({"reason": "wrong"}, 400, "$.revision"),
        ({"revision": 0, "reason": "wrong"}, 400, "$.revision"),
        ({"revision": True, "reason": "wrong"}, 400, "$.revision"),
        ({"revision": "1", "reason": "wrong"}, 400, "$.revision"),
        ({"revision": 1}, 400, "$.reason"),
        ({"revision": 1, "reason": "a\nb"}, 400, "$.reason"),
        ({"revision": 9, "reason": "wrong"}, 404, None),
    ],
)
async def test_a_recall_that_cannot_be_is_refused_with_its_place(api, published, body, status, path):
    answer = await api.post(f"revisions/{published}/recall", body)
    assert (answer.status, answer.problem.get("path")) == (status, path)


async def test_what_is_not_known_is_not_found(api, site):
    del site
    for path in (
        "revisions/x",
        "revisions/x/manifest",
        "revisions/x/changes",
        "revisions/x?counterPartyId=y",
    ):
        answer = await api.get(path)
        assert answer.status == 404, path
    answer = await api.post("revisions/applies", {"assetId": "x", "counterPartyId": "did:web:y"})
    assert (answer.status, answer.problem["type"]) == (404, "not-found")
    answer = await api.get("revisions/x/changes?revision=-1")
    assert answer.status == 400
