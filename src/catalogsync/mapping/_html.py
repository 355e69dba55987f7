"""HTML in a text: removed, or reduced to what is harmless."""

from __future__ import annotations

import html
import re
from typing import Literal, TypeAlias

from catalogsync.errors import MissingExtraError

__all__ = ["Html", "sanitized", "stripped"]

Html: TypeAlias = Literal["keep", "strip", "sanitize"]

_BREAKS = re.compile(r"<\s*(?:br|/p|/div|/li|/tr|/h[1-6])\b[^>]*>", re.IGNORECASE)
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r"\s*\n\s*")


def sanitized(text: str) -> str:
    """The HTML without scripts, styles and anything else that can do harm."""
    return _clean(text, None)


def stripped(text: str) -> str:
    """The text without tags; breaks and ends of paragraphs become line feeds."""
    if "<" not in text and "&" not in text:
        return text
    plain = html.unescape(_clean(_BREAKS.sub("\n", text), set()))
    return _LINES.sub("\n", _SPACES.sub(" ", plain)).strip()


def _clean(text: str, tags: set[str] | None) -> str:
    try:
        import nh3
    except ImportError as error:
        raise MissingExtraError("HTML in a mapping", "mapping") from error
    return nh3.clean(text) if tags is None else nh3.clean(text, tags=tags)
