"""An agent's store, killed at its n-th write, for every n: `python -m tests.suite.agent.killed FOLDER` prints a line of JSON for each kill.

SQLite's calls of the operating system are taken over (`xSetSystemCall`), and so are Python's that change files. The n-th of them is not
made, or half made where it writes bytes, and the process is dead. Each life is a fork of this one, so a kill costs milliseconds.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from suite.agent.notes.values import Kept, Version
from suite.agent.store.answers import AnswerStore
from suite.agent.store.colleagues import ColleagueStore
from suite.agent.store.database import Database
from suite.agent.store.notes import NoteStore
from suite.agent.users.reading import Colleague
from suite.held import Answer, Held, Resolution
from suite.names import Key, key_of
from suite.values import Status

ONE, OTHER = "relay.example:443 one", "relay.example:443 other"
NOW_MS: Final = 1_795_000_000_000
DAMAGED: Final = b"not a database at all" * 100
_PYTHONS: Final = frozenset({"os.rename", "os.remove", "os.mkdir"})
_BEGINNINGS: Final = {"nothing": 10, "a store": 2, "a damaged file": 1}
"""What the agent finds when it starts -> how many steps it lives."""


def held(token: str, *names: str, status: Status = Status.STALE, many: int = 0) -> Held:
    """What an agent holds: names that stand for users, each with an answer."""
    all_names = [*names, *(f"user{number}@contoso.example" for number in range(many))]
    return Held(
        token=token,
        names={name: Resolution(f"id of {name}", None) for name in all_names},
        answers={f"id of {name}": Answer(None, status) for name in all_names},
    )


class Stores:
    """The file of an agent, with what is kept in it."""

    def __init__(self, file: Path) -> None:
        self._database = Database(file)
        self.answers = AnswerStore(self._database)
        self.notes = NoteStore(self._database)
        self.colleagues = ColleagueStore(self._database)

    def kept(self) -> dict[str, Any]:
        """Everything that a restart would show: the answers of each owner, and the notes."""
        notes = sorted(repr(kept.version) for kept in self.notes.load(NOW_MS, 0.0))
        return {
            "notes": notes,
            "colleagues": self.colleagues.load(),
            **{owner: repr(self.answers.load(owner)) for owner in (ONE, OTHER)},
        }

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def note(stamp: int, text: str) -> Kept:
    """A version of the note about Ada."""
    return Kept(
        Version(subject=Key("ada"), stamp=stamp, agent="a", text=text, author="Ben", written_ms=NOW_MS, lifetime_s=60),
        ends=60.0,
    )


def wrote(stores: Stores, put: Iterable[Kept], gone: Iterable[Kept] = ()) -> bool:
    """Write notes; what an agent acknowledges after that is on the disk."""
    stores.notes.save(put, [kept.version.id for kept in gone], NOW_MS, 0.0)
    return True


STEPS: Final[tuple[Callable[[Stores], bool], ...]] = (
    lambda stores: stores.answers.save(ONE, held("t1", "ada", "ben", "chloe"), ()),
    lambda stores: wrote(stores, [note(1, "on leave")]),
    lambda stores: stores.answers.save(ONE, held("t2", "ada", status=Status.NOT_FOUND), {"ben"}),
    lambda stores: wrote(stores, [note(2, "back on Monday"), note(3, "")], [note(1, "")]),
    lambda stores: stores.colleagues.put([Colleague(login="eve", upn="eve@x.org"), Colleague(login="leo")]) is None,
    lambda stores: stores.answers.save(ONE, held("t3", many=60), ()),
    lambda stores: stores.colleagues.remove(key_of("leo")) is None,
    lambda stores: stores.answers.save(
        ONE, held("t4", "ada"), {f"user{number}@contoso.example" for number in range(40)}
    ),
    lambda stores: stores.answers.save(OTHER, held("t5", "eve"), ()),
    lambda stores: stores.answers.save(OTHER, held("t6", "eve", status=Status.SUSPENDED), ()),
)


def live(file: Path, beginning: str, said: Callable[[int, Stores], None]) -> None:
    """Live one life, and say after each step that it is done."""
    stores = Stores(file)
    said(0, stores)
    for number, step in enumerate(STEPS[: _BEGINNINGS[beginning]], start=1):
        assert step(stores)
        said(number, stores)
    stores.close()


# What is taken over


class _Vfs(ctypes.Structure):
    _fields_ = (
        [("iVersion", ctypes.c_int), ("szOsFile", ctypes.c_int), ("mxPathname", ctypes.c_int)]
        + [(name, ctypes.c_void_p) for name in ("pNext", "zName", "pAppData", "xOpen", "xDelete", "xAccess")]
        + [(name, ctypes.c_void_p) for name in ("xFullPathname", "xDlOpen", "xDlError", "xDlSym", "xDlClose")]
        + [(name, ctypes.c_void_p) for name in ("xRandomness", "xSleep", "xCurrentTime", "xGetLastError")]
        + [(name, ctypes.c_void_p) for name in ("xCurrentTimeInt64", "xSetSystemCall", "xGetSystemCall")]
    )


_SIZED: Final = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64)
_CALLS: Final[dict[str, Any]] = {
    "pwrite64": _SIZED,
    "pwrite": _SIZED,
    "write": ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t),
    "ftruncate": ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int64),
    "unlink": ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p),
}


class Killer:
    """Counts what changes files, and kills this process at the n-th; never with 0."""

    def __init__(self, at: int, *, torn: bool) -> None:
        self.count = 0
        self._at = at
        self._torn = torn
        self._kept: list[Any] = []

    def install(self) -> None:
        """Take the calls over, for the rest of this process."""
        library = ctypes.CDLL(_sqlite3.__file__)
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        vfs = library.sqlite3_vfs_find(None)
        get = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(vfs.contents.xGetSystemCall)
        put = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
            vfs.contents.xSetSystemCall
        )
        for name, kind in _CALLS.items():
            if address := get(vfs, name.encode()):
                ours = kind(self._counted(kind(address), is_write="write" in name))
                self._kept.append(ours)
                assert put(vfs, name.encode(), ctypes.cast(ours, ctypes.c_void_p)) == 0
        sys.addaudithook(lambda event, _: self.note() if event in _PYTHONS else None)

    def note(self, *, is_write: bool = False) -> None:
        """Count one, and die when it is the n-th."""
        self.count += 1
        if self.count == self._at:
            if self._torn and not is_write:
                os._exit(0)  # nothing here can be half made
            os.kill(os.getpid(), signal.SIGKILL)

    def _counted(self, call: Callable[..., int], *, is_write: bool) -> Callable[..., int]:
        def counted(*arguments: Any) -> int:
            if self._torn and is_write and self.count + 1 == self._at:
                call(*arguments[:2], arguments[2] // 2, *arguments[3:])
            self.note(is_write=is_write)
            return call(*arguments)

        return counted


# Lives


def begin(folder: Path, beginning: str) -> Path:
    """Make the folder as the agent finds it."""
    file = folder / "state" / "agent.db"
    if beginning != "nothing":
        file.parent.mkdir(parents=True)
    if beginning == "a store":
        stores = Stores(file)
        assert stores.answers.save(ONE, held("t0", "ada"), ())
        stores.close()
    elif beginning == "a damaged file":
        file.touch(0o600)
        file.write_bytes(DAMAGED)
    return file


def killed(folder: Path, beginning: str, at: int, *, torn: bool) -> tuple[bool, list[str]]:
    """Fork, live, be killed at a write. Returns whether it was killed, and what had been said until then."""
    reading, writing = os.pipe()
    file = begin(folder, beginning)
    child = os.fork()
    if child == 0:
        Killer(at, torn=torn).install()
        live(file, beginning, lambda done, stores: void(os.write(writing, f"{done} {stores.notes.agent}\n".encode())))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read().splitlines()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status), said


def void(_: object) -> None:
    """Return nothing."""


def expected(folder: Path, beginning: str) -> list[dict[str, Any]]:
    """What is kept after each step, when nobody is killed; at first what is kept before any."""
    found: list[dict[str, Any]] = []
    live(begin(folder, beginning), beginning, lambda _, stores: found.append(stores.kept()))
    return found


def main(folder: Path) -> None:
    """Kill at every write of every life, and print what the restart found."""
    logging.disable()
    for beginning in _BEGINNINGS:
        states = expected(folder / "expected", beginning)
        shutil.rmtree(folder / "expected")
        at, is_over = 0, False
        while not is_over:
            at += 1
            for torn in (True, False):
                place = folder / f"{at}{torn}"
                was_killed, said = killed(place, beginning, at, torn=torn)
                if torn and not was_killed:
                    shutil.rmtree(place, ignore_errors=True)
                    continue
                is_over = not was_killed
                life = {"from": beginning, "at": at, "torn": torn, **after(place, states, said)}
                sys.stdout.write(json.dumps(life) + "\n")
                shutil.rmtree(place, ignore_errors=True)


def after(folder: Path, states: list[dict[str, Any]], said: list[str]) -> dict[str, Any]:
    """Start again, and say what is there: `step` is None when it is no moment that there was after what was said to be done."""
    file = folder / "state" / "agent.db"
    stores = Stores(file)
    done = int(said[-1].split()[0]) if said else 0
    found = stores.kept()
    possible = [number for number in (done, done + 1) if number < len(states) and states[number] == found]
    works = STEPS[0](stores)
    stores.close()
    aside = [one.read_bytes() == DAMAGED for one in file.parent.iterdir() if "damaged" in one.name]
    return {
        "done": done,
        "step": possible[0] if possible else None,
        "works": works,
        "is_same_agent": not said or said[0].split()[1] == stores.notes.agent,
        "aside": aside,
        "open_to_others": any(one.stat().st_mode & 0o077 for one in file.parent.iterdir()),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
