"""The encoding of a text file: declared, marked, or found out."""

from __future__ import annotations

import codecs

from catalogsync.errors import MisconfiguredError, MissingExtraError

__all__ = ["encoding_of"]

_WESTERN = "windows-1252"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(sample: bytes, declared: str | None) -> str:
    """The encoding, as Python calls it.

    A byte order mark wins, then what is declared, then UTF-8 if the sample is that;
    otherwise charset-normalizer decides.

    Args:
        sample: The first bytes of the file; the last character may be cut.
        declared: The encoding that is set; None: it is found out.

    Raises:
        MisconfiguredError: It cannot be found out, or is not known.
        MissingExtraError: The extra `files` is not installed.
    """
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    if declared is not None:
        return _checked(declared)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=False)
    except UnicodeDecodeError:
        return _detected(sample)
    return "utf-8"


def _checked(name: str) -> str:
    try:
        info = codecs.lookup(name)
    except LookupError:
        problem = "is not an encoding that Python knows; try utf-8 or windows-1252"
        raise MisconfiguredError("encoding", problem) from None
    if not getattr(info, "_is_text_encoding", True):
        raise MisconfiguredError("encoding", "is not an encoding of text")
    return info.name


def _detected(sample: bytes) -> str:
    try:
        from charset_normalizer import from_bytes
    except ImportError as error:
        raise MissingExtraError("detecting an encoding", "files") from error
    lines = [line for line in sample.splitlines(keepends=True) if not line.isascii()]
    best = from_bytes(b"".join(lines)[: 1 << 17]).best()
    if best is None:
        problem = "cannot be found out; set it, such as windows-1252"
        raise MisconfiguredError("encoding", problem)
    try:
        is_western = sample.decode(_WESTERN) == sample.decode(best.encoding)
    except UnicodeDecodeError:  # the last character may be cut
        is_western = False
    return _WESTERN if is_western else best.encoding
