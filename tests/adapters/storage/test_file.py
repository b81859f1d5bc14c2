import asyncio
import os
import socket
import threading
from pathlib import Path
from random import Random

import pytest

from comity.errors import InvalidInputError, StorageError
from comity.storage import descriptor, file, folder, hashing, source
from comity.techdata import about, manifest

MIB = 2**20


async def read(files, published, start=0, end=None):
    return b"".join([chunk async for chunk in await files.open_range(published, start, end)])


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def files(root):
    return file.Files([str(root)])


async def test_a_published_file_is_read_whole_and_by_range(root, files):
    content = os.urandom(3 * MIB + 17)
    (root / "a.step").write_bytes(content)
    told = []
    published = await asyncio.to_thread(files.measure, str(root / "a.step"), told.append)
    assert published == await files.publish(str(root / "a.step"))
    assert (published.size_bytes, sum(told), published.name) == (len(content), len(content), "a.step")
    assert await read(files, published) == content
    for start, end in [(0, 1), (MIB - 1, MIB + 1), (5, 5), (len(content) - 1, len(content)), (17, None)]:
        assert await read(files, published, start, end) == content[start:end]
    chunks = [len(chunk) async for chunk in await files.open_range(published)]
    assert chunks == [MIB, MIB, MIB, 17]


OUTSIDE = [
    "{root}/../secret",
    "/etc/passwd",
    "{root}/link",
    "{root}/folder-link/secret",
    "{root}x/secret",
    "{root}/.",
]


@pytest.mark.parametrize(
    "path",
    [
        *OUTSIDE,
        "relative",
        "",
        "\0",
        "{root}/a\0b",
        "{root}/\ud800",
        "{root}/missing",
        "{root}/" + "a" * 5000,
    ],
)
async def test_nothing_outside_the_roots_is_published_or_opened(tmp_path, root, files, path):
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "rootx").mkdir()
    (tmp_path / "rootx/secret").write_bytes(b"secret")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "folder-link").symlink_to(tmp_path)
    path = path.format(root=root)
    if not path.endswith("/."):
        with pytest.raises(StorageError):
            files.resolve(path)
    with pytest.raises(StorageError):
        await files.publish(path)
    with pytest.raises(StorageError):
        await files.open_range(source.Source(kind="file", address=path, size_bytes=6))


async def test_a_link_inside_the_roots_is_published_as_what_it_leads_to(root, files):
    (root / "v1").write_bytes(b"one")
    (root / "latest").symlink_to(root / "v1")
    assert (await files.publish(str(root / "latest"))).address == str(root / "v1")


async def test_a_link_put_in_the_place_of_a_published_file_is_not_followed(tmp_path, root, files):
    (root / "deep").mkdir()
    (root / "deep/a").write_bytes(b"secret")
    published = await files.publish(str(root / "deep/a"))
    (tmp_path / "other").mkdir()
    (root / "deep/a").rename(tmp_path / "other/a")
    (root / "deep/a").symlink_to(tmp_path / "other/a")
    with pytest.raises(StorageError):
        await files.open_range(published)
    (root / "deep/a").unlink()
    (root / "deep").rmdir()
    (root / "deep").symlink_to(tmp_path / "other")
    with pytest.raises(StorageError):
        await files.open_range(published)


def make_fifo(path):
    os.mkfifo(path)


def make_socket(path):
    listener = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(path.parent)
    listener.bind(path.name)
    os.chdir(here)
    listener.close()


def make_device(path):
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes devices")


@pytest.mark.parametrize("make", [make_fifo, make_socket, make_device])
async def test_what_is_not_a_regular_file_is_refused_without_waiting(root, files, make):
    make(root / "odd")
    async with asyncio.timeout(2):
        with pytest.raises(StorageError):
            await files.publish(str(root / "odd"))
        with pytest.raises(StorageError):
            await files.open_range(source.Source(kind="file", address=str(root / "odd"), size_bytes=0))
        with pytest.raises(StorageError, match="odd"):
            await folder.scan(files, str(root))


def appended(path):
    with path.open("ab") as opened:
        opened.write(b"x")


def rewritten(path):
    path.write_bytes(bytes(len(path.read_bytes())))
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [appended, rewritten, lambda path: os.truncate(path, 5), os.unlink])
async def test_a_file_changed_since_it_was_published_is_refused(root, files, change):
    (root / "a").write_bytes(os.urandom(1000))
    published = await files.publish(str(root / "a"))
    change(root / "a")
    with pytest.raises(StorageError) as caught:
        await files.open_range(published)
    assert caught.value.code == source.CHANGED


@pytest.mark.parametrize("change", [appended, rewritten, lambda path: os.truncate(path, MIB + 5)])
async def test_a_file_changed_while_it_is_read_hands_out_not_one_new_byte(root, files, change):
    content = os.urandom(3 * MIB)
    (root / "a").write_bytes(content)
    published = await files.publish(str(root / "a"))
    chunks = await files.open_range(published)
    assert await anext(chunks) == content[:MIB]
    change(root / "a")
    with pytest.raises(StorageError) as caught:
        await anext(chunks)
    assert caught.value.code == source.CHANGED


async def test_a_file_replaced_while_it_is_read_is_still_read_as_published(root, files):
    content = os.urandom(2 * MIB)
    (root / "a").write_bytes(content)
    published = await files.publish(str(root / "a"))
    chunks = await files.open_range(published)
    (root / "b").write_bytes(bytes(2 * MIB))
    (root / "b").replace(root / "a")
    assert b"".join([chunk async for chunk in chunks]) == content


async def test_a_stream_given_up_leaves_nothing_open(root, files):
    (root / "a").write_bytes(bytes(3 * MIB))
    published = await files.publish(str(root / "a"))
    before = len(list(Path("/proc/self/fd").iterdir()))
    chunks = await files.open_range(published)
    await anext(chunks)
    await chunks.aclose()
    with pytest.raises(StorageError):
        await files.open_range(source.Source(kind="file", address=str(root / "a"), size_bytes=1))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_a_descriptor_is_not_closed_under_a_running_thread(root):
    (root / "a").write_bytes(b"abc")
    opened = descriptor.Descriptor(os.open(root / "a", os.O_RDONLY))
    started, go_on, seen = threading.Event(), threading.Event(), []

    def slow():
        started.set()
        go_on.wait(5)
        seen.append(os.pread(opened.number, 3, 0))

    task = asyncio.create_task(opened.run(slow))
    await asyncio.to_thread(started.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    opened.close()
    go_on.set()
    async with asyncio.timeout(5):
        while not seen or opened._running.done() is False:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
    assert seen == [b"abc"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened.number)


async def test_a_folder_is_listed_in_order_with_its_hashes(root, files):
    (root / "b/c").mkdir(parents=True)
    (root / "b/c/drawing.pdf").write_bytes(b"pdf")
    (root / "a.step").write_bytes(bytes(MIB + 1))
    (root / "empty").write_bytes(b"")
    (root / ".git").mkdir()
    (root / ".git/config").write_bytes(b"secret")
    (root / "b/.hidden").write_bytes(b"")
    (root / "same").symlink_to("a.step")
    told = []
    found = await folder.scan(files, str(root), lambda *progress: told.append(progress))
    assert [entry.path for entry in found.files] == ["a.step", "b/c/drawing.pdf", "empty", "same"]
    assert found.skipped == (".git", "b/.hidden")
    assert told[-1] == (4, 4, 2 * MIB + 5, 2 * MIB + 5)
    assert [entry.source.name for entry in found.files] == ["a.step", "drawing.pdf", "empty", "same"]
    described = found.manifest("Gear")
    assert described.files[1].media_type == "application/pdf"
    assert described.files[0].sha256 == described.files[3].sha256


async def test_a_decomposed_name_is_published_composed_and_still_found(root, files):
    (root / "u\u0308.txt").write_bytes(b"x")
    found = await folder.scan(files, str(root))
    assert found.files[0].path == "\u00fc.txt"
    assert await read(files, found.files[0].source) == b"x"


@pytest.mark.parametrize("name", [b"a\\b", b"a\nb", b"\xff\xfe", b"a" * 241, b"a\x1b[2J"])
async def test_a_name_that_no_manifest_may_hold_is_named(root, files, name):
    os.close(os.open(os.fsencode(root) + b"/" + name, os.O_CREAT | os.O_WRONLY))
    with pytest.raises(InvalidInputError, match=r"rename|path") as caught:
        await folder.scan(files, str(root))
    assert str(root) in caught.value.message


async def test_links_that_leave_or_loop_are_refused(tmp_path, root, files):
    (root / "in").mkdir()
    (root / "in/out").symlink_to(tmp_path)
    with pytest.raises(StorageError, match="leaves the folder"):
        await folder.scan(files, str(root))
    (root / "in/out").unlink()
    (root / "in/loop").symlink_to(root / "in")
    with pytest.raises(StorageError, match="link to a folder"):
        await folder.scan(files, str(root))
    (root / "in/loop").unlink()
    (root / "in/self").symlink_to("self")
    with pytest.raises(StorageError, match="self"):
        await folder.scan(files, str(root))
    (root / "in/self").unlink()
    (root / "in/dangling").symlink_to("nowhere")
    with pytest.raises(StorageError, match="dangling"):
        await folder.scan(files, str(root))


async def test_a_link_out_of_the_published_folder_but_inside_the_root_is_refused(root, files):
    (root / "pub").mkdir()
    (root / "private").write_bytes(b"secret")
    (root / "pub/link").symlink_to(root / "private")
    with pytest.raises(StorageError, match="leaves the folder"):
        await folder.scan(files, str(root / "pub"))


async def test_a_very_deep_folder_is_refused_not_a_crash(root, files):
    here = os.open(root, os.O_RDONLY)
    for _ in range(600):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    with pytest.raises((StorageError, InvalidInputError)):
        await folder.scan(files, str(root))


@pytest.mark.parametrize("path", ["{root}/missing", "{root}/file", "/etc"])
async def test_only_a_folder_below_a_root_is_scanned(root, files, path):
    (root / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        await folder.scan(files, path.format(root=root))


def test_the_connectors_own_folder_is_neither_published_nor_received_into(tmp_path):
    own = tmp_path / "own"
    (own / "keys").mkdir(parents=True)
    (own / "received").mkdir()
    (own / "keys" / "connector.pem").write_text("secret")
    files = file.Files([str(tmp_path), str(own / "received")], private=str(own))
    for path, said in (
        (own / "keys" / "connector.pem", "lies in"),
        (own / "keys", "lies in"),
        (own, "is"),
        (tmp_path, "holds"),
    ):
        why = f"{str(path)!r} {said} the connector's own data folder, which may not be"
        with pytest.raises(StorageError, match=f"{why} published"):
            files.resolve(str(path))
        with pytest.raises(StorageError, match=f"{why} received into"):
            files.check_destination(str(path))
    assert files.resolve(str(own / "received")) == str(own / "received")
    assert files.check_destination(str(tmp_path / "elsewhere")) == str(tmp_path / "elsewhere")


async def test_the_same_folder_gives_the_same_manifest_in_whatever_order_its_names_come(
    root, files, monkeypatch
):
    for number in range(40):
        path = root / f"d{number % 3}" / f"f{number:02}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes([number]) * number)

    class Shuffled:
        def __init__(self, path):
            self._opened = real(path)

        def __enter__(self):
            return random.sample(listed := list(self._opened), len(listed))

        def __exit__(self, *_):
            self._opened.close()

    real, random = os.scandir, Random(1)
    first = manifest.encode((await folder.scan(files, str(root))).manifest("t"))
    monkeypatch.setattr(folder.os, "scandir", Shuffled)
    for _ in range(3):
        assert manifest.encode((await folder.scan(files, str(root))).manifest("t")) == first


async def test_files_are_hashed_by_several_threads_and_the_first_that_cannot_be_ends_it(root, files):
    for number in range(300):
        (root / f"{number:03}").write_bytes(bytes([number % 256]))
    listed = [hashing.Listed(f"{number:03}", str(root / f"{number:03}"), 1) for number in range(300)]
    names, gate = set(), threading.Barrier(2)

    def measure(path, told, given_up):
        if len(names) < 2:
            names.add(threading.current_thread().name)
            gate.wait(5)  # both are here at once
        return files.measure(path, told, given_up)

    told = []
    found = await hashing.hash_all(measure, listed, lambda *progress: told.append(progress), threads=2)
    assert [each.name for each in found] == [each.path for each in listed]
    assert len(names) == 2
    assert told == sorted(told)
    assert told[-1] == (300, 300, 300, 300)
    (root / "299").unlink()
    with pytest.raises(StorageError, match="299"):
        await hashing.hash_all(files.measure, listed, threads=2)


async def test_a_file_that_changes_while_it_is_hashed_is_refused(root, files):
    (root / "a").write_bytes(bytes(3 * MIB))

    def append(_):
        with (root / "a").open("ab") as opened:
            opened.write(b"x")

    with pytest.raises(StorageError) as caught:
        await asyncio.to_thread(files.measure, str(root / "a"), append)
    assert caught.value.code == source.CHANGED
    assert caught.value.message == f"{str(root / 'a')!r} changed while it was hashed"
    assert caught.value.hint == "wait until nobody writes to it; comity watch does"


@pytest.mark.parametrize("change", ["more", "gone", "new"])
async def test_a_folder_that_changes_while_it_is_hashed_is_refused_as_a_whole(root, files, change):
    for name in ("a", "b"):
        (root / name).write_bytes(b"one")

    def spoil(files_done, files_total, *_):
        if files_done == files_total:  # the others are hashed already, and each was what it was then
            {
                "more": lambda: (root / "a").write_bytes(b"other"),
                "gone": lambda: (root / "a").unlink(missing_ok=True),
                "new": lambda: (root / "c").write_bytes(b""),
            }[change]()

    which = "c" if change == "new" else "a"
    with pytest.raises(StorageError, match=f"^'{which}' in '.*' changed while it was hashed") as caught:
        await folder.scan(files, str(root), spoil)
    assert caught.value.code == source.CHANGED


@pytest.mark.parametrize("name", ["CON", "nul.txt", "a.", "b ", "c:d", "what?"])
async def test_a_name_that_windows_cannot_write_is_refused_before_anything_is_hashed(root, files, name):
    (root / name).write_bytes(b"")
    with pytest.raises(InvalidInputError, match="Windows"):
        await folder.scan(files, str(root), lambda *_: pytest.fail("it was hashed"))


@pytest.mark.parametrize(
    ("twins", "why"),
    [
        (("A.step", "a.STEP"), "upper and lower case"),
        (("\u00e9", "e\u0301"), "Unicode form"),
        (("stra\u00dfe", "STRASSE"), "upper and lower case"),
        (("A/one", "a/two"), "'A/' and 'a/' .* upper and lower case"),
        (("x/A/b/one", "x/a/b/two"), "'x/A/.*' and 'x/a/.*' .* upper and lower case"),
    ],
)
async def test_two_names_that_are_one_elsewhere_are_refused_before_anything_is_hashed(
    root, files, twins, why
):
    for name in twins:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    with pytest.raises(InvalidInputError, match=why) as caught:
        await folder.scan(files, str(root), lambda *_: pytest.fail("it was hashed"))
    assert "cannot lie side by side" in caught.value.message
    assert caught.value.hint == "rename one of them"


@pytest.mark.parametrize(
    ("name", "said"),
    [("\udce9.txt", "is not UTF-8"), (f"{'x' * 241}.step", r"x\.\.\.x.*\.step' has a segment longer")],
)
async def test_a_name_that_is_refused_is_shown_with_its_reason_and_its_end(root, files, name, said):
    (root / name).write_bytes(b"")
    with pytest.raises(InvalidInputError, match=said):
        await folder.scan(files, str(root))


@pytest.mark.parametrize("name", ["{:03}", ".{:03}"])
async def test_a_folder_with_far_too_many_names_is_refused_after_as_many_as_may_be(
    root, files, monkeypatch, name
):
    monkeypatch.setattr(folder.manifest, "MAX_FILES", 50)
    monkeypatch.setattr(folder, "MOST_ENTRIES", 100)
    for number in range(300):
        (root / name.format(number)).touch()
    looked = []
    monkeypatch.setattr(folder.os, "stat", lambda *a, real=os.stat, **k: (looked.append(1), real(*a, **k))[1])
    with pytest.raises(StorageError, match="more than 50 files, or 100 names in all"):
        await folder.scan(files, str(root))
    assert len(looked) < 110


async def test_what_a_folder_says_of_itself_is_no_file_of_it(root, files):
    (root / "a").write_bytes(b"a")
    (root / "sub").mkdir()
    for path in (root / about.NAME, root / "sub" / about.NAME):
        path.write_bytes(b'title = "t"')
    found = await folder.scan(files, str(root))
    assert [each.path for each in found.files] == ["a", f"sub/{about.NAME}"]
    assert found.about == b'title = "t"'
    (root / about.NAME).unlink()
    (root / about.NAME).symlink_to("/etc/passwd")
    with pytest.raises(StorageError, match=about.NAME):
        await folder.scan(files, str(root))
