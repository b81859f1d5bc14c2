import os
import re
import stat
from pathlib import Path

import pytest

from comity import data_folder, errors, settings

ADDRESS = "https://alpha.example"
KEYS = ("connector.pem", "seal.key", "management.key")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def made(folder):
    return data_folder.initialize(folder, address=ADDRESS, name="Alpha Works")


def edit(folder, old, new):
    path = folder / settings.FILE
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_what_was_made_is_loaded(made, folder):
    assert settings.load(folder) == made
    assert made.participant_id == "did:web:alpha.example"
    assert (made.name, made.address) == ("Alpha Works", ADDRESS)
    assert (made.listen, made.management) == ("0.0.0.0:443", "127.0.0.1:8281")
    assert made.database == folder / "comity.sqlite"
    assert str(folder / "received") in made.roots
    assert not made.insecure
    assert not made.mock_identity
    assert len(made.management_key) >= 40
    assert made.management_key not in repr(made)


def test_every_value_that_can_be_given_is_kept(folder, tmp_path):
    made = data_folder.initialize(
        folder,
        address="http://127.0.0.1:8080/alpha/",
        name='Ä "quoted" \\ name',
        listen="127.0.0.1:8081",
        management="127.0.0.1:0",
        roots=[str(tmp_path / "{x}"), "/srv/with 'quotes' and \t tab"],
        tls_certificate="/c.pem",
        tls_key="/k.pem",
        insecure=True,
        mock_identity=True,
        participant_id="BPNL1",
    )
    assert settings.load(folder) == made
    assert made.address == "http://127.0.0.1:8080/alpha"
    assert made.name == 'Ä "quoted" \\ name'
    assert made.roots == (str(tmp_path / "{x}"), "/srv/with 'quotes' and \t tab")
    assert (made.tls_certificate, made.tls_key) == ("/c.pem", "/k.pem")
    assert made.insecure
    assert made.mock_identity
    assert made.participant_id == "BPNL1"


@pytest.mark.parametrize("name", ["a\nb", "\x7f", "\u200b", "\U000e0001", "# [x]", "{0}", '"""', "\\u0041"])
def test_a_name_of_odd_characters_is_written_so_that_it_is_read_back(folder, name):
    assert data_folder.initialize(folder, address=ADDRESS, name=name).name == name


@pytest.mark.parametrize(
    ("address", "participant_id", "listen"),
    [
        ("https://alpha.example:8443", "did:web:alpha.example%3A8443", "0.0.0.0:8443"),
        ("https://alpha.example/site/a/", "did:web:alpha.example:site:a", "0.0.0.0:443"),
        ("https://localhost:9000", "did:web:localhost%3A9000", "127.0.0.1:9000"),
    ],
)
def test_name_and_port_follow_from_the_address(folder, address, participant_id, listen):
    made = data_folder.initialize(folder, address=address)
    assert (made.participant_id, made.listen) == (participant_id, listen)


def test_keys_are_new_and_for_their_owner_only(made, tmp_path):
    other = data_folder.initialize(tmp_path / "other", address=ADDRESS)
    assert stat.S_IMODE((made.folder / "keys").stat().st_mode) == 0o700
    for name in KEYS:
        path = made.folder / "keys" / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_bytes() != (other.folder / "keys" / name).read_bytes()
    assert len(settings.seal_key(made)) == 32
    assert settings.signing_key(made).kid == "did:web:alpha.example#key-1"


def test_a_folder_that_holds_a_connector_is_left_alone(made):
    before = {path: path.read_bytes() for path in made.folder.rglob("*") if path.is_file()}
    with pytest.raises(errors.SettingsError, match="holds a connector already") as caught:
        data_folder.initialize(made.folder, address="https://other.example")
    assert caught.value.hint == f"start it with: comity serve --data {made.folder}"
    assert {path: path.read_bytes() for path in made.folder.rglob("*") if path.is_file()} == before


def test_keys_outlive_a_lost_settings_file(made):
    before = [(made.folder / "keys" / name).read_bytes() for name in KEYS]
    (made.folder / settings.FILE).unlink()
    data_folder.initialize(made.folder, address=ADDRESS)
    assert [(made.folder / "keys" / name).read_bytes() for name in KEYS] == before


@pytest.mark.parametrize("stops_at", [*KEYS, settings.FILE])
def test_an_initialization_that_was_cut_short_is_done_again(folder, monkeypatch, stops_at):
    fsync, names = os.fsync, [*KEYS, settings.FILE]
    left = [names.index(stops_at)]

    def full(descriptor):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(errors.SettingsError, match="cannot be written: No space left on device"):
        data_folder.initialize(folder, address=ADDRESS)
    assert not (folder / settings.FILE).exists()
    assert not list(folder.rglob("*.new"))
    monkeypatch.undo()
    made = data_folder.initialize(folder, address=ADDRESS)
    assert settings.seal_key(made)
    assert settings.signing_key(made)
    assert made.management_key


@pytest.mark.parametrize(
    "address",
    [
        "",
        "alpha.example",
        "ftp://alpha.example",
        "https://",
        "https://[::1",
        "https://alpha.example:99999",
        "https://alpha.example:0",
        "https://alpha.example:x",
        "https://alpha.example?x",
        "https://alpha.example/#x",
        "https://user:secret@alpha.example",
        "https://alpha.exam\nple",
        "https://alpha example",
    ],
)
@pytest.mark.parametrize("participant_id", ["", "BPNL1"])
def test_a_wrong_address_is_refused_and_nothing_written(folder, address, participant_id):
    with pytest.raises(errors.SettingsError, match="address"):
        data_folder.initialize(folder, address=address, participant_id=participant_id)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"address": "http://alpha.example"}, "public.address is http"),
        ({"listen": "443"}, "public.listen must be host:port, not '443'"),
        ({"listen": ":443"}, "public.listen must be host:port"),
        ({"listen": "[]:443"}, "public.listen must be host:port"),
        ({"listen": "0.0.0.0:65536"}, "public.listen must be host:port"),
        ({"listen": "0.0.0.0:" + "9" * 5000}, "public.listen must be host:port"),
        ({"listen": "0.0.0.0:\u0661"}, "public.listen must be host:port"),
        ({"management": "localhost:"}, "management.listen must be host:port"),
        ({"management": ""}, "management.listen is missing"),
        ({"tls_certificate": "/c.pem"}, "go together"),
        ({"tls_key": "/k.pem"}, "go together"),
        ({"roots": ["relative"]}, "storage.roots must be absolute paths"),
        ({"roots": ["/srv", 1]}, "storage.roots must be a list of texts"),
        ({"roots": ["/srv/\udcff"]}, "storage.roots has a character that is not Unicode"),
        ({"name": "\udcff"}, "participant.name has a character that is not Unicode"),
    ],
)
def test_a_wrong_value_is_refused_and_nothing_written(folder, more, words):
    with pytest.raises(errors.SettingsError, match=words):
        data_folder.initialize(folder, **{"address": ADDRESS, **more})
    assert not folder.exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[outgoing]", "[outgoin]", "there is no section outgoin$"),
        ("[outgoing]", "[empty]\n[outgoing]", "there is no section empty$"),
        ("[participant]", "extra = 1\n[participant]", "there is no section extra$"),
        ("[participant]", "[nobody]", "there is no section nobody$"),
        ("allow = []", "alow = []", r"there is no setting outgoing\.alow$"),
        ("allow = []", 'allow = "10.0.0.0/8"', r"outgoing\.allow must be a list of texts$"),
        ("allow = []", "allow = [10]", r"outgoing\.allow must be a list of texts$"),
        ("allow = []", "ca_file = 1", r"outgoing\.ca_file must be a text$"),
        ("insecure = false", "insecure = 0", r"development\.insecure must be true or false$"),
        ("insecure = false", 'insecure = "no"', r"development\.insecure must be true or false$"),
        ('name = "Alpha Works"', "", r"participant\.name is missing$"),
        ('name = "Alpha Works"', 'name = ""', r"participant\.name is missing$"),
        ('name = "Alpha Works"', "name = 7", r"participant\.name must be a text$"),
        ('name = "Alpha Works"', "[participant.name]", r"participant\.name must be a text$"),
        ('address = "https://alpha.example"', "", r"public\.address is missing$"),
        ('"https://alpha.example"', '"alpha"', r"public\.address must be an address such as .* not 'alpha'$"),
        ('"https://alpha.example"', '"https://[::1"', r"public\.address must be an address"),
        ('"https://alpha.example"', '"http://alpha.example"', r"public\.address is http$"),
        ('listen = "0.0.0.0:443"', 'listen = "x"', r"public\.listen must be host:port, not 'x'$"),
        ("[evidence]", "[evidence]\nstamp_every_s = 0", r"evidence\.stamp_every_s must be 1 to 36500$"),
        ("[evidence]", "[evidence]\nstop_after_s = 60", r"evidence\.stop_after_s needs evidence\.stamp_url$"),
        ("[evidence]", '[evidence]\nstamp_url = "http://tsa.example"', r"evidence\.stamp_ca a file"),
        (
            "[evidence]",
            '[evidence]\nstamp_url = "tsa"\nstamp_ca = "/ca"',
            r"evidence\.stamp_url must be an http",
        ),
        ("[storage]", '[storage]\nkept = "kept"', r"storage\.kept must be an absolute path$"),
        ("[storage]", "[storage]\nshred_after_days = -1", r"storage\.shred_after_days must be 0 to 36500$"),
        ("allow = []", "allow = [", "comity.toml cannot be read: .*line"),
        ("allow = []", "allow = []\nallow = []", "comity.toml cannot be read: "),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_key(made, old, new, words):
    edit(made.folder, old, new)
    with pytest.raises(errors.SettingsError, match=words) as caught:
        settings.load(made.folder)
    assert str(made.folder / settings.FILE) in caught.value.message


@pytest.mark.parametrize(
    ("root", "kept"), [("/srv/a", "/srv/a/kept"), ("/srv/a/b", "/srv/a"), ("/srv/a", "/srv/a")]
)
def test_the_store_of_what_was_received_lies_in_no_root_nor_around_one(made, root, kept):
    path = made.folder / settings.FILE
    text = re.sub(r"roots = .*", f'roots = ["{root}"]\nkept = "{kept}"', path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    with pytest.raises(
        errors.SettingsError, match=r"storage\.kept must not lie in a folder of storage\.roots"
    ):
        settings.load(made.folder)


def test_what_may_be_left_out_has_a_default(made):
    path = made.folder / settings.FILE
    kept = '[participant]\nid = "did:web:a"\nname = "A"\n[public]\naddress = "https://a.example"\n'
    path.write_text(kept + 'listen = "0.0.0.0:1"\n[management]\nlisten = "127.0.0.1:2"\n', encoding="utf-8")
    found = settings.load(made.folder)
    assert (found.roots, found.allow, found.ca_file, found.insecure) == ((), (), "", False)


def test_an_operator_may_allow_networks_and_name_authorities(made):
    edit(made.folder, "allow = []", 'allow = ["10.0.0.0/8", "host.internal"]\nca_file = "/ca.pem"')
    found = settings.load(made.folder)
    assert found.allow == ("10.0.0.0/8", "host.internal")
    assert found.ca_file == "/ca.pem"


def test_a_folder_without_a_connector_says_how_to_make_one(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(errors.SettingsError, match=r"comity.toml is missing") as caught:
            settings.load(folder)
        assert "comity init" in caught.value.hint


def test_a_missing_management_key_is_named(made):
    (made.folder / "keys" / "management.key").unlink()
    with pytest.raises(errors.SettingsError, match=r"management.key is missing"):
        settings.load(made.folder)


@pytest.mark.parametrize("content", [b"", b" \n"])
def test_an_empty_management_key_opens_nothing(made, content):
    (made.folder / "keys" / "management.key").write_bytes(content)
    with pytest.raises(errors.SettingsError, match=r"management.key is empty"):
        settings.load(made.folder)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"name = 'latin-1: \xe4'"])
def test_a_file_that_is_not_utf8_is_refused(made, content):
    (made.folder / settings.FILE).write_bytes(content)
    with pytest.raises(errors.SettingsError, match=r"comity.toml cannot be read"):
        settings.load(made.folder)


@pytest.mark.parametrize("content", [b"", b"00" * 31, b"00" * 33, b"zz" * 32, b"\xff" * 64])
def test_a_seal_key_that_is_none_is_refused(made, content):
    (made.folder / "keys" / "seal.key").write_bytes(content)
    with pytest.raises(errors.SettingsError, match=r"seal.key is not a key of 32 bytes in hex"):
        settings.seal_key(made)


@pytest.mark.parametrize(
    ("read", "name"), [(settings.seal_key, "seal.key"), (settings.signing_key, "connector.pem")]
)
def test_a_key_that_is_gone_is_named(made, read, name):
    (made.folder / "keys" / name).unlink()
    with pytest.raises(errors.SettingsError, match=f"{name} cannot be read: No such file"):
        read(made)


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n", b"\xff"]
)
def test_a_signing_key_that_is_none_is_refused(made, content):
    (made.folder / "keys" / "connector.pem").write_bytes(content)
    with pytest.raises(errors.SettingsError, match="key"):
        settings.signing_key(made)


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:8281", "http://127.0.0.1:8281"),
        ("0.0.0.0:8281", "http://127.0.0.1:8281"),
        ("[::1]:8281", "http://[::1]:8281"),
    ],
)
def test_the_management_api_is_reached_on_this_machine(folder, listen, address):
    assert data_folder.initialize(folder, address=ADDRESS, management=listen).management_address == address


@pytest.mark.parametrize(("listen", "parts"), [("[::1]:80", ("::1", 80)), ("a.example:0", ("a.example", 0))])
def test_host_and_port_are_split(listen, parts):
    assert settings.split_listen(listen, "x") == parts


def test_an_account_without_a_home_still_gets_a_connector(folder, monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    assert data_folder.initialize(folder, address=ADDRESS).roots[0] == str(folder / "received")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(errors.SettingsError, match=r"file/data cannot be written: Not a directory"):
        data_folder.initialize(tmp_path / "file" / "data", address=ADDRESS)
