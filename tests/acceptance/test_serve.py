"""`comity serve` as an operator meets it: quick, small, easy to stop, and plain about what is wrong."""

import re
import shutil
import signal
import socket
import sqlite3
import statistics
from contextlib import closing

import pytest

from support import authority, processes
from support.ports import free_port

START_S = 1.0
IDLE_MB = 90
STOP_S = 6.0


def serve(served, *more, timeout_s=15):
    """Run `comity serve` that must end by itself; returns what it said."""
    done = processes.command("serve", *more, folder=served.conf.folder, timeout_s=timeout_s)
    assert done.returncode not in {0, -signal.SIGKILL}, done
    assert "Traceback" not in done.stderr, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    return done.stderr


def test_existing_database_is_served_within_a_second(serving, record_property):
    served = serving("alpha")
    served.stop()
    taken_s = []
    for _ in range(5):
        taken_s.append(served.start())
        served.stop()
    print("from exec to the first answer, s:", [round(each, 3) for each in taken_s])  # noqa: T201  a figure to be read
    record_property("start_s", taken_s)
    assert statistics.median(taken_s) <= START_S


def test_idle_connector_is_small(pair, folder, record_property):
    pair.provider.api.publish(str(folder), timeout_s=20, asset_id="package")
    for side in pair:  # with an existing database, as after any restart
        side.stop()
        side.start()
    body = processes.contract_request(*pair, "package")
    pair.consumer.api.request("POST", "contractnegotiations", body)
    for side in pair:
        processes.wait_until(
            lambda side=side: side.rows("SELECT state FROM negotiation") == [("FINALIZED",)],
            "the negotiation",
            10,
            *pair,
        )
    sizes_mb = {side.conf.name: side.memory_kib("VmRSS") * 1024 / 1e6 for side in pair}
    print("resident, MB:", {name: round(size, 1) for name, size in sizes_mb.items()})  # noqa: T201  a figure to be read
    record_property("rss_mb", sizes_mb)
    assert max(sizes_mb.values()) <= IDLE_MB


def test_sigterm_ends_it_though_a_stream_is_open(pair, tmp_path):
    (tmp_path / "big").mkdir()
    with (tmp_path / "big" / "a.bin").open("wb") as file:
        file.truncate(1 << 30)
    pair.provider.api.publish(str(tmp_path / "big"), timeout_s=60, asset_id="big")
    access = start_transfer(pair, "big")
    host, port = access["endpoint"].split("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=10) as stream:
        path = "/" + access["endpoint"].split("/", 3)[3] + "/files/a.bin"
        stream.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {access['authorization']}\r\n\r\n".encode()
        )
        assert stream.recv(15) == b"HTTP/1.1 200 OK"  # and then it is not read any further
        assert pair.provider.stop() < STOP_S
    assert pair.consumer.stop() < STOP_S
    assert "Traceback" not in pair.provider.tail()


def start_transfer(pair, asset_id):
    exchange = pair.consumer.api.start_exchange(pair.provider.did, asset_id, "")["@id"]
    transfer = processes.wait_until(
        lambda: (
            pair.consumer.api.exchange(exchange)["transferState"] == "STARTED"
            and pair.consumer.api.exchange(exchange)["transferId"]
        ),
        "the transfer to start",
        10,
        *pair,
    )
    return pair.consumer.api.request("GET", f"edrs/{transfer}/dataaddress")


@pytest.mark.parametrize("listener", ["public", "management"])
def test_port_in_use_is_named(serving, listener):
    served = serving("alpha", starts=False)
    taken = served.conf.listen if listener == "public" else served.conf.management
    with socket.create_server(("127.0.0.1", int(taken.rpartition(":")[2]))):
        said = serve(served)
    assert f"{listener}.listen {taken} cannot be used: Address already in use" in said


def test_data_folder_in_use_is_named(serving):
    served = serving("alpha")
    said = serve(served)
    assert f"another connector runs on the data folder {served.conf.folder}" in said
    assert served.answers()


def test_data_folder_of_a_newer_version_is_refused_and_not_touched(serving):
    served = serving("alpha")
    served.stop()
    with closing(sqlite3.connect(served.conf.database)) as store:
        store.execute("UPDATE alembic_version SET version_num = '9999'")
        store.commit()
    before = served.conf.database.read_bytes()
    assert "written by a newer version" in serve(served)
    assert served.conf.database.read_bytes() == before


@pytest.mark.parametrize("name", ["connector.pem", "seal.key", "management.key"])
def test_missing_key_is_named(serving, name):
    served = serving("alpha", starts=False)
    (served.conf.folder / "keys" / name).unlink()
    assert name in serve(served)


@pytest.mark.parametrize("name", ["connector.pem", "seal.key"])
def test_broken_key_is_named(serving, name):
    served = serving("alpha", starts=False)
    (served.conf.folder / "keys" / name).write_bytes(b"not a key")
    assert name in serve(served)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("[public]", "[public", "comity.toml cannot be read: .*line"),
        ("[public]", "[pubic]", "there is no section pubic"),
        ("insecure = true", 'insecure = "yes"', "development.insecure must be true or false"),
        ("insecure = true", "insecure = false", "public.address is http"),
        ("allow = []", 'allow = ["10.0.0.0/99"]', "10.0.0.0/99"),
        ("allow = []", 'ca_file = "/nowhere.pem"', "/nowhere.pem"),
        ('address = "', 'tls_certificate = "/a.pem"\ntls_key = "/b.pem"\naddress = "', "tls_certificate"),
    ],
)
def test_broken_settings_are_explained(serving, before, after, said):
    served = serving("alpha", starts=False)
    file = served.conf.folder / "comity.toml"
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after, 1))
    assert re.search(said, serve(served))


def test_broken_database_is_explained(serving):
    served = serving("alpha", starts=False)
    served.conf.database.write_bytes(b"this is no database" * 1000)
    assert "cannot be read as a Comity database" in serve(served)


def test_folder_without_a_connector_is_explained(tmp_path):
    done = processes.command("serve", "--data", str(tmp_path / "none"))
    assert done.returncode == 1
    assert "there is no connector in" in done.stderr
    assert "comity init" in done.stderr


def test_development_flags_are_warned_of_at_every_start(serving):
    served = serving("alpha", insecure=True, mock_identity=True)
    served.stop()
    served.start()
    log = served.tail()
    assert log.count("WARNING development.insecure is on") == 2
    assert log.count("WARNING development.mock_identity is on") == 2


def secured(serving, files, name, host, allow):
    """A connector with TLS and without the development flag."""
    port = free_port()
    served = serving(
        name,
        starts=False,
        port=port,
        address=f"https://{host}:{port}",
        insecure=False,
        tls_certificate=files.certificate,
        tls_key=files.key,
    )
    file = served.conf.folder / "comity.toml"
    listed = f"allow = [{', '.join(map(repr, allow))}]\nca_file = {files.authority!r}"
    file.write_text(file.read_text().replace("allow = []", listed))
    return served


def test_partners_exchange_over_tls_with_an_authority_of_their_own(serving, tmp_path, folder):
    files = authority.make(tmp_path / "tls")
    alpha = secured(serving, files, "alpha", "localhost", ["127.0.0.1"])
    beta = secured(serving, files, "beta", "127.0.0.1", ["127.0.0.1", "localhost"])
    for each in (alpha, beta):
        each.start()
        assert "WARNING" not in each.tail()
    for one, other in ((alpha, beta), (beta, alpha)):
        added = one.run("partner", "add", other.conf.address, "--name", other.conf.name)
        assert added.returncode == 0, added.stderr + one.tail()
    assert alpha.run("publish", str(folder), "--id", "package").returncode == 0
    got = beta.run("get", "alpha", "package", "-o", str(tmp_path / "got"))
    assert got.returncode == 0, got.stderr + beta.tail()
    assert (tmp_path / "got" / "drawing.txt").read_bytes() == (folder / "drawing.txt").read_bytes()


def test_loopback_partner_is_refused_where_it_is_not_listed(serving, tmp_path):
    alpha = secured(serving, authority.make(tmp_path / "tls"), "alpha", "127.0.0.1", [])
    alpha.start()
    for address in ("https://127.0.0.1:9", "https://localhost:9"):
        added = alpha.run("partner", "add", address)
        assert added.returncode == 1, added
        assert "loopback" in added.stderr
        assert "outgoing.allow" in added.stderr, added.stderr


def test_addresses_with_a_path_work(serving, folder, tmp_path):
    ports = free_port(), free_port()
    alpha = serving("alpha", port=ports[0], address=f"http://127.0.0.1:{ports[0]}/partners/alpha")
    beta = serving("beta", port=ports[1], address=f"http://127.0.0.1:{ports[1]}/b")
    assert alpha.did.endswith(":partners:alpha")
    processes.introduce(alpha, beta)
    assert alpha.run("publish", str(folder), "--id", "package").returncode == 0
    got = beta.run("get", alpha.did, "package", "-o", str(tmp_path / "got"))
    assert got.returncode == 0, got.stderr + beta.tail()
    assert (tmp_path / "got" / "parts" / "list.csv").exists()


def test_full_or_unwritable_data_folder_is_explained(serving, tmp_path):
    served = serving("alpha", starts=False)
    served.conf.database.mkdir()
    assert str(served.conf.database) in serve(served)
    shutil.rmtree(served.conf.database)
    served.start()
