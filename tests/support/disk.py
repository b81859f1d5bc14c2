"""A disk of which the power is cut: what it may hold then, by the calls that a process made of it.

What was synced is there. Of what was not, any part may be: some writes and not others, some sectors of a write, a
length without the bytes, a name without its file or still with the one before. That is more than most file systems
allow themselves, so what survives here survives there. The rules are POSIX's: `fsync` of a file makes its bytes
durable, and `fsync` of a folder the names in it.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from support.tracing import Call

SECTORS = (512, 4096)
UNSEEN = ("-shm",)  # SQLite makes it anew at the first opening, whatever is in it
SYNCS = {"fsync", "fdatasync"}


@dataclass(slots=True, eq=False)
class File:
    """A file: its durable bytes, and the (offset, bytes) or (length, None) that are not durable yet."""

    durable: bytearray = field(default_factory=bytearray)
    waiting: list[tuple[int, bytes | None]] = field(default_factory=list)

    def now(self) -> bytes:
        """What a reader sees."""
        return self.after(self.waiting)

    def after(self, changes: Collection[tuple[int, bytes | None]]) -> bytes:
        held = bytearray(self.durable)
        for place, data in changes:
            change(held, place, data)
        return bytes(held)


@dataclass(slots=True, eq=False)
class Folder:
    """A folder: its durable names, and the (name, what it means from then on) that are not durable yet."""

    durable: dict[str, File | Folder] = field(default_factory=dict)
    waiting: list[tuple[str, File | Folder | None]] = field(default_factory=list)

    def now(self) -> dict[str, File | Folder]:
        return self.after(self.waiting)

    def after(self, changes: Collection[tuple[str, File | Folder | None]]) -> dict[str, File | Folder]:
        held = dict(self.durable)
        for name, meant in changes:
            if meant is None:
                held.pop(name, None)
            else:
                held[name] = meant
        return held


def change(held: bytearray, place: int, data: bytes | None) -> None:
    """Make one change of a file's bytes."""
    if data is None:
        del held[place:]
        held.extend(bytes(place - len(held)))
        return
    held.extend(bytes(max(0, place - len(held))))
    held[place : place + len(data)] = data


class Disk:
    """What lies below a folder, as a process changes it call by call.

    `deaf` says of which paths syncs are not heard: a disk that lies.
    """

    def __init__(self, root: Path, *, deaf: Callable[[str], bool] = lambda path: False) -> None:
        """Begin with what lies there now, all of it durable."""
        self._root = str(root)
        self._deaf = deaf
        self._at: dict[int, int] = {}
        self.top = _read(root) if root.exists() else Folder()

    def begin(self, call: Call) -> None:
        """Make what a call changes; it is not durable yet."""
        match call.name:
            case "write" | "pwrite64":
                self._write(call)
            case "ftruncate":
                if file := self._file(call.place):
                    file.waiting.append((call.last_number, None))
            case "openat":
                self._open(call)
            case "mkdir" | "mkdirat":
                self._name(call.paths[-1], Folder())
            case "unlink" | "unlinkat":
                self._name(call.paths[-1], None)
            case "rename" | "renameat" | "renameat2":
                self._rename(*call.paths[-2:])

    def sync(self, call: Call) -> Callable[[], None]:
        """Take what a sync is asked for, and return what makes that durable when it ends."""
        found = self._find(call.place)
        if found is None or self._deaf(call.place):
            return lambda: None
        asked = len(found.waiting)

        def end() -> None:
            if isinstance(found, File):
                for place, data in found.waiting[:asked]:
                    change(found.durable, place, data)
            else:
                found.durable = found.after(found.waiting[:asked])
            del found.waiting[:asked]

        return end

    def unsynced(self) -> list[str]:
        """Paths of what the disk may lose now."""
        return _unsynced(self.top, self._root)

    def _write(self, call: Call) -> None:
        file = self._file(call.place)
        if file is None:
            return
        if call.name == "pwrite64":
            place = call.last_number
        else:
            place = self._at.get(call.descriptor, 0)
            self._at[call.descriptor] = place + call.returned
        file.waiting.append((place, call.data))

    def _open(self, call: Call) -> None:
        self._at[call.returned] = 0
        path = call.opened
        if "O_CREAT" in call.arguments and self._below(path) and self._find(path) is None:
            self._name(path, File())
        if (
            "O_TRUNC" in call.arguments
            and (file := self._file(path)) is not None
            and (file.durable or file.waiting)
        ):
            file.waiting.append((0, None))

    def _rename(self, old: str, new: str) -> None:
        found = self._find(old)
        if found is not None:
            self._name(new, found)
            self._name(old, None)

    def _name(self, path: str, meant: File | Folder | None) -> None:
        folder, _, name = path.rpartition("/")
        inside = self._find(folder)
        if isinstance(inside, Folder) and not (meant is None and name not in inside.now()):
            inside.waiting.append((name, meant))

    def _below(self, path: str) -> bool:
        return path.startswith(self._root + "/") and not path.endswith(UNSEEN)

    def _file(self, path: str) -> File | None:
        found = self._find(path) if self._below(path) else None
        return found if isinstance(found, File) else None

    def _find(self, path: str) -> File | Folder | None:
        if path != self._root and not self._below(path):
            return None
        here: File | Folder | None = self.top
        for part in path[len(self._root) :].split("/"):
            if part:
                here = here.now().get(part) if isinstance(here, Folder) else None
        return here

    def write_out(self, to: Path, survives: Survives) -> None:
        """Write what the disk holds after a cut below a new folder."""
        _write_out(self.top, to, survives)


def _unsynced(folder: Folder, path: str) -> list[str]:
    found = [f"{path}/{name}" + (" (removed)" if meant is None else "") for name, meant in folder.waiting]
    for name, each in folder.now().items():
        if isinstance(each, Folder):
            found += _unsynced(each, f"{path}/{name}")
        elif each.waiting:
            found.append(f"{path}/{name}")
    return found


def _read(path: Path) -> Folder:
    found = Folder()
    for each in path.iterdir():
        if not each.name.endswith(UNSEEN):
            found.durable[each.name] = _read(each) if each.is_dir() else File(bytearray(each.read_bytes()))
    return found


def _write_out(folder: Folder, to: Path, survives: Survives) -> None:
    to.mkdir()
    for name, each in survives.names(folder).items():
        if isinstance(each, Folder):
            _write_out(each, to / name, survives)
        else:
            (to / name).write_bytes(survives.bytes(each))


class Survives:
    """What of the unsynced survives: nothing, all (the process was killed, the disk was not), or a matter of chance."""

    def names(self, folder: Folder) -> dict[str, File | Folder]:
        raise NotImplementedError

    def bytes(self, file: File) -> bytes:
        raise NotImplementedError


class Nothing(Survives):
    def names(self, folder: Folder) -> dict[str, File | Folder]:
        return folder.durable

    def bytes(self, file: File) -> bytes:
        return bytes(file.durable)


class All(Survives):
    def names(self, folder: Folder) -> dict[str, File | Folder]:
        return folder.now()

    def bytes(self, file: File) -> bytes:
        return file.now()


class Some(Survives):
    """Each cut has a way of its own: a beginning of what was written, whole writes of it, or single sectors."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._way = chance.choice((self._beginning, self._writes, self._sectors, self._sectors))
        self._share = chance.choice((0.1, 0.5, 0.9))
        self._sector = chance.choice(SECTORS)

    def names(self, folder: Folder) -> dict[str, File | Folder]:
        """The changes of one name come one after the other; those of different names do not wait for each other."""
        kept: list[tuple[str, File | Folder | None]] = []
        for name in dict.fromkeys(name for name, _ in folder.waiting):
            of_name = [each for each in folder.waiting if each[0] == name]
            kept += of_name[: self._chance.randint(0, len(of_name))]
        return folder.after(kept)

    def bytes(self, file: File) -> bytes:
        return file.after(self._way(file.waiting)) if file.waiting else bytes(file.durable)

    def _beginning(self, waiting: list[tuple[int, bytes | None]]) -> list[tuple[int, bytes | None]]:
        count = self._chance.randint(0, len(waiting))
        kept = waiting[:count]
        if count < len(waiting) and (data := waiting[count][1]):  # the next one is torn
            kept = [*kept, (waiting[count][0], data[: self._chance.randint(0, len(data))])]
        return kept

    def _writes(self, waiting: list[tuple[int, bytes | None]]) -> list[tuple[int, bytes | None]]:
        return [each for each in waiting if self._chance.random() < self._share]

    def _sectors(self, waiting: list[tuple[int, bytes | None]]) -> list[tuple[int, bytes | None]]:
        kept: list[tuple[int, bytes | None]] = []
        for place, data in waiting:
            if data is None:
                kept += [(place, None)] if self._chance.random() < self._share else []
                continue
            cuts = [0, *range(self._sector - place % self._sector, len(data), self._sector), len(data)]
            for begin, end in itertools.pairwise(cuts):
                if self._chance.random() < self._share:
                    kept.append((place + begin, data[begin:end]))
        return kept


def play(disk: Disk, made: list[Call], tell: Callable[[int], None] = lambda line: None) -> None:
    """Let a process's calls happen; before each line `tell` is told, of which the disk may be cut."""
    moments = [(call.began, 0, call) for call in made]
    moments += [(call.ended, 1, call) for call in made if call.name in SYNCS]
    endings: dict[int, Callable[[], None]] = {}
    for line, ending, call in sorted(moments, key=lambda each: each[:2]):
        tell(line)
        if ending:
            endings.pop(id(call))()
        elif call.name in SYNCS:
            endings[id(call)] = disk.sync(call)
        else:
            disk.begin(call)
    tell(1 << 62)
