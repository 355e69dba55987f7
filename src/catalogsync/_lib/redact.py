"""Redacting secrets: one redactor, which learns each secret where it enters.

A secret may leave in another form than it entered: percent-encoded in a URL, escaped in
JSON, HTML or a `repr`, as base64 in a header, or several of these at once. So the
pattern of a secret matches each of its characters in every form.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from html.entities import codepoint2name
from pathlib import Path
from traceback import format_exception
from typing import Any, cast
from urllib.parse import unquote, unquote_plus

import attrs

from catalogsync.errors import MisconfiguredError

__all__ = [
    "Redactor",
    "check_secret",
    "database_secrets",
    "has_secret_name",
    "secrets_in_address",
]

_NAME = re.compile(
    r"pass(?:w|phrase)|pwd|secret|token|(?:api|access|private)[-_]?key|credential",
    re.IGNORECASE,
)
_SHORTEST = 4
_HIDDEN = "***"
# What encodings are made of, themselves encoded any number of times.
_PERCENT = "%(?:25)*"
_SLASH = rf"(?:\\|{_PERCENT}5c)"
_AMPERSAND = rf"(?:&|{_PERCENT}26)(?:amp(?:;|{_PERCENT}3b))*"
_HASH = rf"(?:\#|{_PERCENT}23)"
_SEMICOLON = rf"(?:;|{_PERCENT}3b)"
_RUN_BEGINS = r"(?<!\\)(?<!5c)"
_ESCAPES = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}


@attrs.define
class Redactor:
    """Replaces secrets in texts by `***`, in whatever form they appear.

    Secrets of fewer than four characters are ignored: they would match parts of
    ordinary words.
    """

    _secrets: set[str] = attrs.field(factory=set[str], init=False, repr=False)
    _pattern: re.Pattern[str] | None = attrs.field(
        default=None, init=False, repr=False, eq=False
    )

    def keep(self, texts: Iterable[str]) -> None:
        """Redact these from now on."""
        new = {text for text in texts if len(text) >= _SHORTEST} - self._secrets
        if new:
            self._secrets |= new
            self._pattern = None

    def text(self, text: str) -> str:
        """The text without secrets."""
        if not self._secrets:
            return text
        return self._compiled().sub(_HIDDEN, text)

    def finds(self, text: str) -> bool:
        """Whether the text contains a secret."""
        return bool(self._secrets) and self._compiled().search(text) is not None

    def tree(self, tree: Any) -> Any:
        """The same JSON without secrets in its texts."""
        if not self._secrets:
            return tree
        match tree:
            case str():
                return self.text(tree)
            case list() | tuple():
                return [self.tree(item) for item in cast("list[Any]", tree)]
            case Mapping():
                items = cast("Mapping[str, Any]", tree).items()
                return {name: self.tree(item) for name, item in items}
            case _:
                return tree

    @contextmanager
    def translated(
        self, translate: Callable[[Exception], Exception | None]
    ) -> Generator[None]:
        """Raise errors in another form, without an original that contains a secret.

        Args:
            translate: Returns the error to raise; None: leave it as it is.
        """
        try:
            yield
        except Exception as error:
            translated = translate(error)
            if translated is None:
                raise
            is_secret = self.finds("".join(format_exception(error)))
            cause = None if is_secret else error
            try:
                raise translated from cause
            finally:
                translated.__context__ = cause

    def _compiled(self) -> re.Pattern[str]:
        if self._pattern is None:
            longest_first = sorted(self._secrets, key=lambda text: (-len(text), text))
            forms = [form for text in longest_first for form in _forms(text)]
            self._pattern = re.compile("|".join(forms))
        return self._pattern


def _forms(text: str) -> Iterator[str]:
    """Patterns for a secret: its characters one by one, and base64 around it."""
    yield f"(?i:{_sequence(text)})"  # host names lose their capitals
    for encoding in ("utf-8", "latin-1"):
        try:
            data = text.encode(encoding)
        except UnicodeEncodeError:
            continue
        yield from map(_in_base64, _base64_cores(data))
        if text.isascii():
            break


def _base64_cores(data: bytes) -> Iterator[str]:
    """The base64 characters that depend on the secret only, for each alignment."""
    for before in range(3):
        encoded = b64encode(b"\0" * before + data).decode()
        begin, end = -(-8 * before // 6), 8 * (before + len(data)) // 6
        if end - begin >= _SHORTEST:
            yield encoded[begin:end]


def _in_base64(core: str) -> str:
    """A pattern for these and their neighbours, which reveal some bits too."""
    inner = "".join(
        {"+": rf"(?i:-|{_char('+')})", "/": rf"(?i:_|{_char('/')})"}.get(c, c)
        for c in core
    )
    return rf"[\w+/-]{{0,2}}{inner}[\w+/-]{{0,2}}={{0,2}}"


def _sequence(text: str) -> str:
    """All characters in order; a run of backslashes may be longer than it was.

    Quantifiers are possessive and runs begin at their first backslash, so that
    searching never takes long.
    """
    pattern, before = "", "start"
    for part in re.findall(r"\\+|[^\\]", text, re.DOTALL):
        if part[0] == "\\":
            begin = _RUN_BEGINS if before == "start" else ""
            pattern += rf"{begin}(?:{_SLASH}|&\#0*92;){{{len(part)},}}+"
            before = "slashes"
        else:
            pattern += _char(part, before)
            before = "char"
    return pattern


def _char(char: str, before: str = "char") -> str:
    """A pattern for all forms of a character other than a backslash.

    Args:
        char: The character.
        before: What precedes it: the `start`, a `char`, or `slashes`, which are all
            matched already.
    """
    if char.isascii() and char.isalnum():
        return char
    code, data = ord(char), char.encode("utf-8", "surrogatepass")
    some, more = f"{_SLASH}++", f"{_SLASH}*+"
    units = [f"u{unit}" for unit in _utf16(char)]
    escaped = [more.join(units), f"U{code:08x}"]
    if char in _ESCAPES:
        escaped.append(_ESCAPES[char])
    if code < 0x100:
        escaped.append(f"x{code:02x}")
    plain = [  # the longest first
        "".join(rf"{_PERCENT}{byte:02x}" for byte in data),
        rf"{_AMPERSAND}{_HASH}(?:0*{code}|x0*{code:x}){_SEMICOLON}",
    ]
    if name := codepoint2name.get(code, "apos" if char == "'" else ""):
        plain.append(f"{_AMPERSAND}{name}{_SEMICOLON}")
    if code >= 0x80:
        # First: the code of "Ã" is also the first of its bytes.
        escaped.insert(0, more.join(f"x{byte:02x}" for byte in data))
        plain.append(re.escape(data.decode("latin-1")))
    plain.append(re.escape(char))
    if char == " ":
        plain.append(rf"(?:\+|{_PERCENT}2b)")
    return {
        "start": rf"(?:{'|'.join(plain)}|{_RUN_BEGINS}{some}(?:{'|'.join(escaped)}))",
        "char": rf"(?:{more}(?:{'|'.join(plain)})|{some}(?:{'|'.join(escaped)}))",
        "slashes": rf"(?:{'|'.join(plain + escaped)})",
    }[before]


def _utf16(char: str) -> list[str]:
    """Its UTF-16 code units in hexadecimal."""
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return [units[at : at + 4] for at in range(0, len(units), 4)]


# --- where secrets are found ---


def has_secret_name(name: str) -> bool:
    """Whether a setting or parameter with this name has a secret value."""
    return _NAME.search(name) is not None


def secrets_in_address(text: str) -> Iterator[str]:
    """The password and secret parameters in a URL, encoded and decoded.

    It also works if the password was not encoded and the URL cannot be parsed:
    everything up to the last `@` may belong to it.
    """
    _, mark, rest = text.partition("://")
    if not mark:
        return
    for login in {
        rest.rpartition("@")[0],
        re.split("[/?#]", rest)[0].rpartition("@")[0],
    }:
        yield from _decoded(login.partition(":")[2])
    for parameter in re.split("[&;#]", rest.partition("?")[2]):
        name, _, value = parameter.partition("=")
        if has_secret_name(unquote(name)):
            yield from _decoded(value)


def database_secrets(address: str) -> Iterator[str]:
    """All passwords that the PostgreSQL driver may use, wherever it finds them."""
    yield from secrets_in_address(address)
    yield os.environ.get("PGPASSWORD", "")
    named = re.search(r"[?&]passfile=([^&#]*)", address)
    file = unquote(named[1]) if named else os.environ.get("PGPASSFILE")
    try:
        path = Path(file) if file else Path.home() / ".pgpass"
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, RuntimeError, ValueError):
        return
    for line in lines:
        password = re.split(r"(?<!\\):", line, maxsplit=4)[-1]
        yield from {password, re.sub(r"\\(.)", r"\1", password)}


def _decoded(value: str) -> Iterator[str]:
    if value:
        yield from {value, unquote(value), unquote_plus(value)}


def check_secret(setting: str, text: str) -> None:
    """Refuse a secret that ends with a line break, which it got by accident.

    Raises:
        MisconfiguredError: It ends with a line break.
    """
    if text != text.rstrip("\r\n"):
        problem = (
            "ends with a line break, as `echo` and many editors write it into files;"
            " remove it (`printf %s`, or `$(cat FILE)` in a shell)"
        )
        raise MisconfiguredError(setting, problem)
