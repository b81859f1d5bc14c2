"""A connector that is killed with -9 while its key is rotated and negotiations go on: it comes back with its keys."""

import json
import time
import urllib.request

import pytest

from support import processes, specification


def published(site):
    with urllib.request.urlopen(f"{site.conf.address}/.well-known/did.json", timeout=10) as answer:
        return [each["id"].rpartition("#")[2] for each in json.load(answer)["verificationMethod"]]


def states(site):
    return {each["kid"].rpartition("#")[2]: each["state"] for each in site.api.identity()["keys"]}


@pytest.mark.parametrize("after_s", [0.0, 0.2])
def test_a_kill_during_a_rotation_loses_neither_a_key_nor_a_negotiation(serving, tmp_path, ear, after_s):
    provider, consumer = serving("provider"), serving("consumer")
    processes.introduce(provider, consumer)
    (tmp_path / "drawings").mkdir()
    (tmp_path / "drawings" / "a.txt").write_text("a drawing")
    provider.api.publish(str(tmp_path / "drawings"), timeout_s=20, asset_id="drawings")
    body = processes.contract_request(provider, consumer, "drawings")
    begun = [consumer.api.request("POST", "contractnegotiations", body)["@id"] for _ in range(20)]
    rotating = provider.begin("identity", "rotate")
    time.sleep(0.6 + after_s)  # the command needs about as long to start
    provider.kill()
    rotating.communicate(timeout=20)
    provider.start()
    assert states(provider) in ({"key-1": "SIGNING"}, {"key-1": "SIGNING", "key-2": "WAITING"})
    if "key-2" not in states(provider):
        assert provider.run("identity", "rotate").returncode == 0
    assert published(provider) == ["key-1", "key-2"]
    for each in begun:
        processes.wait_until(
            lambda each=each: consumer.api.load("contractnegotiations", each)["state"] == "FINALIZED",
            f"{each} to be finalized", 60, provider, consumer,
        )  # fmt: skip
    assert provider.run("identity", "retire", "key-1").returncode == 0
    assert published(provider) == ["key-2"]
    for site in (provider, consumer):
        done = site.run("evidence", "verify", "--signatures", "--json")
        found = json.loads(done.stdout)["signatures"]
        assert found["withoutKey"] == 0
        assert found["held"] == found["bound"] > 40
        kept = json.loads(site.run("evidence", "keys", "--json").stdout)
        assert {each["kid"].rpartition("#")[2] for each in kept if each["participant"] == provider.did} >= {
            "key-1"
        }
    if specification.PRESENT:  # what these processes sent was heard, and is checked after the test
        assert b'"ContractAgreementMessage"' in ear.file.read_bytes()
