"""Uncompressing what is read; recognised by its first bytes, not by its name."""

from __future__ import annotations

import gzip
import stat
import zipfile
from contextlib import ExitStack
from fnmatch import fnmatchcase
from typing import IO, cast

from catalogsync.errors import MisconfiguredError, MissingExtraError

__all__ = ["uncompressed"]

_GZIP, _ZIP, _ZSTD = b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd"
_OFFICE = (".xlsx", ".xlsm", ".xlsb", ".ods")
_IGNORED = ("__MACOSX/", ".")


def uncompressed(
    raw: IO[bytes], name: str, member: str | None, stack: ExitStack
) -> IO[bytes]:
    """The content of a stream; workbooks, which are archives too, stay as they are.

    Args:
        raw: The stream, at its beginning.
        name: Name of the file.
        member: Name of the file in a zip archive, perhaps with `*`; None: the only one.
        stack: Closes what is opened.

    Raises:
        MisconfiguredError: The archive is broken, or has not exactly one such member.
        MissingExtraError: The extra `files` is not installed.
    """
    start = raw.read(4)
    raw.seek(0)
    if start.startswith(_GZIP):
        return cast("IO[bytes]", stack.enter_context(gzip.GzipFile(fileobj=raw)))
    if start == _ZSTD:
        return _zstandard(raw, stack)
    if start == _ZIP and not name.lower().endswith(_OFFICE):
        return _zipped(raw, name, member, stack)
    return raw


def _zstandard(raw: IO[bytes], stack: ExitStack) -> IO[bytes]:
    try:
        import zstandard
    except ImportError as error:
        raise MissingExtraError("Zstandard", "files") from error
    reader = zstandard.ZstdDecompressor().stream_reader(raw, closefd=False)
    return cast("IO[bytes]", stack.enter_context(reader))


def _zipped(
    raw: IO[bytes], name: str, member: str | None, stack: ExitStack
) -> IO[bytes]:
    try:
        archive = stack.enter_context(zipfile.ZipFile(raw))
    except zipfile.BadZipFile:
        problem = f"{name} is a damaged zip archive"
        raise MisconfiguredError("location", problem) from None
    files = [
        info
        for info in archive.infolist()
        if not info.is_dir() and not info.filename.startswith(_IGNORED)
    ]
    if any(info.filename == "[Content_Types].xml" for info in files):
        return raw
    if member is not None:
        files = [info for info in files if fnmatchcase(info.filename, member)]
    if len(files) != 1:
        names = ", ".join(info.filename for info in files[:5]) or "none"
        problem = f"must name one file of the archive {name}; it has: {names}"
        raise MisconfiguredError("member", problem)
    (only,) = files
    if stat.S_ISLNK(only.external_attr >> 16):
        raise MisconfiguredError("member", f"{only.filename} is a link, not a file")
    if only.flag_bits & 1:
        raise MisconfiguredError("member", f"{only.filename} is encrypted")
    return stack.enter_context(archive.open(only))
