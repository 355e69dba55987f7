"""Finding and opening a file."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import IO, Any, cast

import attrs

from catalogsync.errors import (
    MisconfiguredError,
    MissingExtraError,
    TransientError,
    UnauthorizedError,
)

from ._bounded import Bounded
from ._compression import uncompressed

__all__ = ["FoundFile", "find_file", "shown"]

_MAGIC = frozenset("*?[")
_PACKAGES = {
    "sftp": "paramiko",
    "ssh": "paramiko",
    "s3": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "az": "adlfs",
    "smb": "smbprotocol",
}
_TIMES = (
    *("mtime", "LastModified", "modify", "last_modified", "updated"),
    "Last-Modified",
)
_HTTP_REFUSED = frozenset({401, 403})
_HTTP_MISSING = frozenset({404, 410})


def shown(location: str) -> str:
    """A location without credentials and query, for messages."""
    scheme, mark, rest = location.rpartition("://")
    _, at, address = rest.rpartition("@") if mark else ("", "", rest)
    plain = address.partition("?")[0] if mark else address
    return f"{scheme}{mark}{at and '***@'}{plain}"


@attrs.frozen(kw_only=True)
class FoundFile:
    """A file that exists.

    Attributes:
        name: Its name without folders, such as `products.csv.gz`.
        place: Where it is, without credentials, for messages.
        size: Bytes, compressed as they are; None: not known.
        changed: Time of the last change, in seconds since the epoch; None: not known.
        version: What changes with its content: an ETag, or the time of the last change
            and the size; empty: nothing is known.
        path: Path in the file system.
        system: The fsspec file system.
        on_copied: Called while the file is copied from another machine, with the number
            of bytes so far and of all, if that is known.
    """

    name: str
    place: str
    size: int | None
    changed: float | None
    version: str
    path: str = attrs.field(repr=False)
    system: Any = attrs.field(repr=False)
    on_copied: Callable[[int, int | None], None] = attrs.field(
        default=lambda _done, _all: None, repr=False, eq=False
    )

    @contextmanager
    def open(self, *, most: int, member: str | None = None) -> Generator[IO[bytes]]:
        """Open it for reading; gzip, zip and Zstandard are uncompressed.

        Args:
            most: Bytes that may be read, uncompressed.
            member: Name of the file in a zip archive, perhaps with `*`; None: the only
                one.

        Raises:
            MisconfiguredError: It is larger than *most*, expands without measure, or
                is an archive without the member.
            TransientError: It cannot be read now.
            UnauthorizedError: The credentials are not accepted.
        """
        with ExitStack() as stack, translated(self.place):
            raw = stack.enter_context(self._raw(most))
            plain = uncompressed(raw, self.name, member, stack)
            yield cast("IO[bytes]", Bounded(plain, raw, most, self.place))

    def has_beside(self, name: str) -> bool:
        """Whether there is a file of this name in the same folder; errors as `open`."""
        folder, slash, _ = self.path.partition("?")[0].rpartition("/")
        with translated(self.place):
            return bool(self.system.exists(f"{folder}{slash}{name}"))

    def digest(self, *, most: int) -> str:
        """A digest of its bytes as they are; arguments and errors as for `open`."""
        found = blake2b(digest_size=16)
        with translated(self.place), self._raw(most) as raw:
            while some := raw.read(1 << 20):
                found.update(some)
        return found.hexdigest()

    @contextmanager
    def _raw(self, most: int) -> Generator[IO[bytes]]:
        """The bytes as they are; those of another machine are copied first."""
        if "file" in _protocols(self.system):
            with self.system.open(self.path, "rb") as local:
                yield local
            return
        streams = {"block_size": 0} if "http" in _protocols(self.system) else {}
        with (
            self.system.open(self.path, "rb", **streams) as remote,
            tempfile.TemporaryFile() as copy,
        ):
            bounded = cast("IO[bytes]", Bounded(remote, remote, most, self.place))
            self.on_copied(0, self.size)
            while some := bounded.read(1 << 20):
                copy.write(some)
                self.on_copied(copy.tell(), self.size)
            copy.seek(0)
            yield copy

    def copy(self, folder: Path, *, most: int, member: str | None = None) -> Path:
        """Copy it, uncompressed, into a folder; arguments and errors as for `open`."""
        target = folder / "copy"
        with self.open(most=most, member=member) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        return target


def find_file(location: str) -> FoundFile:
    """Find a file; of several that match a pattern, the newest.

    Args:
        location: A path, or an address that fsspec knows; `*` and `?` in its path stand
            for other characters.

    Raises:
        MissingExtraError: The extra `files` is not installed.
        MisconfiguredError: There is no such file, or its protocol is not known.
        TransientError: The place cannot be reached now.
        UnauthorizedError: The credentials are not accepted.
    """
    try:
        url_to_fs: Any = import_module("fsspec.core").url_to_fs
    except ImportError as error:
        raise MissingExtraError("reading files", "files") from error
    place = shown(location)
    with translated(place):
        system, path = _system(url_to_fs, location)
        system.invalidate_cache()  # others share it, and what it knows may be old
        if _MAGIC & set(path) and not location.startswith(("http://", "https://")):
            path = _newest(system, path, place)
        facts: dict[str, Any] = system.info(path)
        if facts.get("type") == "directory":
            raise MisconfiguredError("location", f"{place} is a folder; add /*")
        return FoundFile(
            name=path.split("?")[0].rstrip("/").rpartition("/")[2],
            place=place if "*" not in place else f"{place} ({Path(path).name})",
            size=facts.get("size"),
            changed=_changed(facts),
            version=_version(facts),
            path=path,
            system=system,
        )


def _system(url_to_fs: Any, location: str) -> tuple[Any, str]:
    scheme = location.partition("://")[0]
    try:
        system, path = url_to_fs(location)
    except ImportError:
        package = _PACKAGES.get(scheme)
        hint = f": pip install {package}" if package else " a package of fsspec"
        raise MisconfiguredError("location", f"{scheme}:// needs{hint}") from None
    except ValueError:
        problem = f"{shown(location)} has a protocol that fsspec does not know"
        raise MisconfiguredError("location", problem) from None
    return system, str(path)


def _newest(system: Any, pattern: str, place: str) -> str:
    """The file that was changed last; of several, the last by name."""
    found: dict[str, dict[str, Any]] = system.glob(pattern, detail=True)
    files = {p: facts for p, facts in found.items() if facts.get("type") != "directory"}
    if not files:
        raise MisconfiguredError("location", f"no file matches {place}")
    return max(files, key=lambda path: (_changed(files[path]) or 0.0, path))


def _changed(facts: dict[str, Any]) -> float | None:
    """When a file was changed, in seconds since the epoch; None: it is not known."""
    found = (_time(facts[name]) for name in _TIMES if name in facts)
    return next((time for time in found if time is not None), None)


def _time(value: object) -> float | None:
    """A time as file systems give it."""
    match value:
        case datetime():
            return value.timestamp()
        case int() | float():
            return float(value)
        case str():
            return _time_in(value)
        case _:
            return None


def _time_in(text: str) -> float | None:
    """A time as FTP (`20261130140000`), HTTP or a JSON API writes it."""
    for read in (_of_ftp, parsedate_to_datetime, datetime.fromisoformat):
        try:
            return read(text).timestamp()
        except ValueError:
            continue
    return None


def _of_ftp(text: str) -> datetime:
    return datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def _protocols(system: Any) -> frozenset[str]:
    """The names of the protocol of a file system."""
    name = system.protocol
    return frozenset({name} if isinstance(name, str) else name)


def _version(facts: dict[str, Any]) -> str:
    if tag := facts.get("ETag") or facts.get("etag"):
        return str(tag)
    changed = _changed(facts)
    return "" if changed is None else f"{changed}-{facts.get('size')}"


@contextmanager
def translated(place: str) -> Generator[None]:
    """Raise what file systems raise as errors that say what to do."""
    try:
        yield
    except FileNotFoundError as error:
        missing = MisconfiguredError("location", f"{place} does not exist")
        raise _of_http(error.__cause__, place) or missing from None
    except IsADirectoryError:
        raise MisconfiguredError("location", f"{place} is a folder; add /*") from None
    except PermissionError:
        raise MisconfiguredError("location", f"{place} may not be read") from None
    except UnicodeDecodeError:
        raise
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise TransientError(f"{place} cannot be read: {reason}") from None
    except Exception as error:
        if (found := _of_http(error, place)) is None:
            raise
        raise found from None


def _of_http(error: BaseException | None, place: str) -> Exception | None:
    """The error for what an HTTP client raised; None: it was something else."""
    if not type(error).__module__.startswith("aiohttp"):
        return None
    status = getattr(error, "status", 0)
    if status in _HTTP_REFUSED:
        return UnauthorizedError(f"{place}: HTTP {status}")
    if status in _HTTP_MISSING:
        return MisconfiguredError("location", f"{place} does not exist")
    reason = f"HTTP {status}" if status else type(error).__name__
    return TransientError(f"{place} cannot be read: {reason}")
