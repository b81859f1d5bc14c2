"""A push to our inbox as a scripted provider makes it, and how a test asks for one."""

from __future__ import annotations

from types import SimpleNamespace

from comity.controlplane import catalog, processes
from comity.management import processes as forms
from support.pair import offer_of
from support.process import awaited, bought

CONTENT = bytes(range(256)) * 4096
FILES = {"a.txt": b"hello", "b/c d.bin": CONTENT, "b/empty": b"", "z.bin": CONTENT * 3}
TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


async def agreed(consumer, partner, dataset):
    """Negotiate to the end and return the agreement's id."""
    record = await consumer.request(partner, offer_of(dataset))
    await consumer.reaches(record.id, "FINALIZED")
    return (await consumer.agreement(record.id)).id


async def asked(pair, destination, **published):
    """Publish, agree and ask for a push; returns the consumer's id of the transfer."""
    await pair.provider.publish(**published)
    dataset = await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, "asset")
    agreement_id = await agreed(pair.consumer, pair.provider, dataset)
    return await request(pair.consumer, agreement_id, destination)


async def request(consumer, agreement_id, destination):
    body = {"contractId": agreement_id, "transferType": "HttpData-PUSH", "dataDestination": destination}
    return (await processes.request_transfer(consumer.connector, forms.decode_transfer_request(body)))[0]


def into(folder):
    return {"type": "File", "path": str(folder)}


def listing(folder):
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return {name: data for name, data in found.items() if not name.rpartition("/")[2].startswith(".")}


async def pull_row(site, transfer_id):
    sql = "SELECT state, files_done, files_total, bytes_done, bytes_total, error FROM pull WHERE transfer_id = ?1"
    return (await site.rows(sql, transfer_id))[0]


class Handed:
    """A push that a scripted provider may make to our inbox: address, token and the peer's side of the process."""

    def __init__(self, site, peer, http, transfer_id, folder):
        self.site, self.http, self.id, self.folder = site, http, transfer_id, folder
        self.process = awaited(peer, site, transfer_id, collection="transfers")
        (sent,) = peer.of("/transfers/request")
        self.url = sent.document["dataAddress"]["endpoint"]
        listed = sent.document["dataAddress"]["endpointProperties"]
        named = {each["name"].rpartition("/")[2]: each["value"] for each in listed}
        self.authorization = named["authCode"]

    async def send(self, method, data=None, path="", authorization=None, **headers):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Authorization"] = self.authorization if authorization is None else authorization
        async with self.http.request(method, self.url + path, data=data, headers=sent) as answer:
            return SimpleNamespace(status=answer.status, headers=answer.headers, body=await answer.read())

    async def rest(self, data, offset, total, **headers):
        named = {**TUS, "Upload-Offset": str(offset), "Upload-Length": str(total), **headers}
        return await self.send("PATCH", data, **named)

    async def start(self):
        assert (await self.process.send("TransferStartMessage")).status == 200

    async def row(self):
        return await pull_row(self.site, self.id)


async def hand_over(site, peer, http, tmp_path):
    """A running push that nobody has sent a byte of yet."""
    record = await bought(peer, site)
    transfer_id = await request(site, (await site.agreement(record.id)).id, into(tmp_path / "got"))
    await site.reaches(transfer_id, "REQUESTED")
    return Handed(site, peer, http, transfer_id, tmp_path / "got")


async def chunked(data, size=70_000):
    for at in range(0, len(data), size):
        yield data[at : at + size]
