"""The file of the sink, with the changes of a run kept apart until it ends.

Changes go into a small database beside the file, `NAME.changes`, in one durable
transaction for each batch. Closing writes the file as a whole under another name, puts
it in place of the old one, and removes the database. So the file is complete at any
moment. What a killed run left in the database is taken over by the next one. The
database is also the lock: only one process can write.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from threading import Lock
from typing import BinaryIO, TypeAlias

import attrs

from catalogsync.catalog.products import ProductKey
from catalogsync.errors import ConflictError, MisconfiguredError

from ._file import TABLE, Signature, file_errors, fill, signature_of
from ._lines import Place

__all__ = ["Store", "Stored"]

_CHANGES = """
(
    source TEXT, id TEXT, data BLOB, PRIMARY KEY (source, id)
) WITHOUT ROWID
"""
_AFTER = "source = :source AND id > :after"
_MERGED = """
SELECT source, id, at, size, number, NULL AS data FROM line
WHERE {where} AND NOT EXISTS (
    SELECT 1 FROM change WHERE change.source = line.source AND change.id = line.id
)
UNION ALL
SELECT source, id, 0, 0, 0, data FROM change WHERE {where} AND data IS NOT NULL
ORDER BY source, id
"""
_PAGE = f"{_MERGED.format(where=_AFTER)} LIMIT :most"
_ALL = _MERGED.format(where="true")
_FIND = "SELECT at, size, number FROM line WHERE source = ? AND id = ?"
_FIND_CHANGE = "SELECT data FROM change WHERE source = ? AND id = ?"
_MOST_TRIES = 100

Row: TypeAlias = tuple[str, str, int, int, int, bytes | None]


@attrs.frozen
class Stored:
    """A line that the store has.

    Attributes:
        place: Its name.
        data: Its bytes.
        number: Its number in the file; 0: it is one of the changes.
    """

    place: Place
    data: bytes
    number: int


@attrs.define(eq=False)
class Store:
    """The file of the sink; all methods block, and any thread may call them.

    Attributes:
        path: The file.
    """

    path: Path
    _lock: Lock = attrs.field(factory=Lock, init=False)
    _index: sqlite3.Connection | None = attrs.field(default=None, init=False)
    _file: BinaryIO | None = attrs.field(default=None, init=False)
    _signature: Signature = attrs.field(default=(-1, -1), init=False)
    _writes: bool = attrs.field(default=False, init=False)

    @property
    def changes(self) -> Path:
        """The database of changes."""
        return self.path.with_name(f"{self.path.name}.changes")

    def find(self, keys: Sequence[ProductKey]) -> list[Stored]:
        """The lines of these keys."""
        with self._lock, file_errors(self.path):
            index = self._current()
            places = ((key.source, key.id) for key in keys)
            return [each for p in places if (each := self._found(index, p))]

    def has(self, place: Place) -> bool:
        """Whether there is a line of this name."""
        with self._lock, file_errors(self.path):
            return self._found(self._current(), place) is not None

    def page(self, source: str, after: str, most: int) -> list[Stored]:
        """The next lines of a source, in the order of the ids."""
        values = {"source": source, "after": after, "most": most}
        with self._lock, file_errors(self.path):
            rows = self._current().execute(_PAGE, values)
            return [self._stored(row) for row in rows]

    def write(
        self, lines: Mapping[Place, bytes | None], *, new: frozenset[Place]
    ) -> None:
        """Change lines, all or none of them.

        Args:
            lines: The new lines; None: the line is removed.
            new: Those that must not exist yet. The others must, except those to remove.

        Raises:
            ConflictError: One of them does not exist, or exists already.
        """
        with self._lock, file_errors(self.path):
            index = self._writing()
            for place, data in lines.items():
                exists = self._found(index, place) is not None
                if exists == (place in new) and (data is not None or exists):
                    problem = "exists already" if exists else "no longer exists"
                    raise ConflictError(f"{':'.join(place)} {problem}")
            rows = [(*place, data) for place, data in lines.items()]
            index.execute("BEGIN IMMEDIATE")
            index.executemany("INSERT OR REPLACE INTO change VALUES (?, ?, ?)", rows)
            index.execute("COMMIT")

    def count(self) -> int:
        """The number of lines."""
        with self._lock, file_errors(self.path):
            found = self._current().execute(f"SELECT count(*) FROM ({_ALL})")  # noqa: S608
            number: int = found.fetchone()[0]
            return number

    def close(self) -> None:
        """Write the file with its changes, and remove the database of changes.

        Raises:
            MisconfiguredError: The file cannot be written; the changes are kept.
        """
        with self._lock, file_errors(self.path):
            try:
                if self._index is not None and self._writes:
                    self._check_unchanged()
                    self._save(self._index)
            finally:
                self._forget()

    # --- reading ---

    def _current(self) -> sqlite3.Connection:
        """The index of the file as it is now."""
        if self._index is not None and self._writes:
            self._check_unchanged()
            return self._index
        signature = signature_of(self.path)
        if self._index is None or signature != self._signature:
            self._forget()
            self._index = self._read(signature)
            if self.changes.exists():  # a run was killed, or one is running
                self._take_over(self._index)
        return self._index

    def _read(self, signature: Signature) -> sqlite3.Connection:
        index = sqlite3.connect(
            "", timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            index.execute(TABLE)
            index.execute(f"CREATE TABLE change {_CHANGES}")
            if signature[0] >= 0:
                self._file = self.path.open("rb")
                fill(index, self.path, self._file)
        except BaseException:
            index.close()
            raise
        self._signature = signature
        return index

    def _found(self, index: sqlite3.Connection, place: Place) -> Stored | None:
        if changed := index.execute(_FIND_CHANGE, place).fetchone():
            return None if changed[0] is None else Stored(place, changed[0], 0)
        found = index.execute(_FIND, place).fetchone()
        return self._stored((*place, *found, None)) if found else None

    def _stored(self, row: Row) -> Stored:
        source, id_, at, size, number, data = row
        if data is None and self._file is not None:
            self._file.seek(at)
            data = self._file.read(size)
        return Stored((source, id_), data or b"", number)

    def _forget(self) -> None:
        if self._index is not None:
            self._index.close()
        if self._file is not None:
            self._file.close()
        self._index, self._file, self._writes = None, None, False

    # --- writing ---

    def _writing(self) -> sqlite3.Connection:
        index = self._current()
        if not self._writes:
            self._take_over(index)
        return index

    def _take_over(self, index: sqlite3.Connection) -> None:
        """Become the only process that writes.

        Raises:
            ConflictError: The file was changed since it was read.
        """
        try:
            self._attach(index)
        except BaseException:
            self._forget()
            raise
        self._writes = True
        if signature_of(self.path) != self._signature:
            self._forget()
            raise ConflictError(f"{self.path.name} was changed by another run")

    def _attach(self, index: sqlite3.Connection) -> None:
        """Open the database of changes and lock it.

        A process that closes removes the database, so the one that is locked may no
        longer be the one that others see.
        """
        for _ in range(_MOST_TRIES):
            before = _file_id(self.changes)
            index.execute("ATTACH ? AS own", [str(self.changes)])
            index.execute("PRAGMA own.locking_mode = EXCLUSIVE")
            index.execute("PRAGMA own.synchronous = FULL")
            index.execute("BEGIN EXCLUSIVE")
            index.execute(f"CREATE TABLE IF NOT EXISTS own.change {_CHANGES}")
            index.execute("CREATE TABLE IF NOT EXISTS own.base (size INT, time INT)")
            self._drop_changes_of_another_file(index)
            index.execute("COMMIT")
            if before is not None and before == _file_id(self.changes):
                index.execute("DROP TABLE main.change")
                return
            index.execute("DETACH own")
        raise MisconfiguredError("path", f"{self.changes} cannot be locked")

    def _drop_changes_of_another_file(self, index: sqlite3.Connection) -> None:
        """Drop changes of a killed run if the file is not the one that they were for."""
        base = index.execute("SELECT size, time FROM own.base").fetchone()
        if base != self._signature:
            index.execute("DELETE FROM own.change")
            index.execute("DELETE FROM own.base")
            index.execute("INSERT INTO own.base VALUES (?, ?)", self._signature)

    def _check_unchanged(self) -> None:
        if signature_of(self.path) != self._signature:
            problem = (
                f"{self.path.name} was changed by another program while this run was "
                "writing; the run's changes are dropped: run again"
            )
            raise MisconfiguredError("path", problem)

    def _save(self, index: sqlite3.Connection) -> None:
        if index.execute("SELECT 1 FROM change LIMIT 1").fetchone():
            new = self.path.with_name(f"{self.path.name}.new")
            with new.open("wb", buffering=1 << 20) as file:
                file.writelines(self._lines(index))
                file.flush()
                os.fsync(file.fileno())
            if self.path.exists():
                shutil.copymode(self.path, new)
            new.replace(self.path)
            _sync_folder(self.path.parent)
        for name in (self.changes.name, f"{self.changes.name}-journal"):
            with suppress(OSError):  # Windows cannot remove an open file
                self.path.with_name(name).unlink(missing_ok=True)

    def _lines(self, index: sqlite3.Connection) -> Iterator[bytes]:
        for row in index.execute(_ALL):
            data = self._stored(row).data
            yield data if data.endswith(b"\n") else data + b"\n"


def _file_id(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _sync_folder(folder: Path) -> None:
    """Make a renaming in a folder durable, where the system can."""
    with suppress(OSError):  # Windows cannot open a folder
        handle = os.open(folder, os.O_RDONLY)
        with closing(os.fdopen(handle)):
            os.fsync(handle)
