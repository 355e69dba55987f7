"""What is wrong with a file, in words that anyone understands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from catalogsync.catalog.checks import shortened
from catalogsync.errors import MisconfiguredError

from ._values import texts_in

__all__ = ["check_data", "damaged", "nothing_found"]

_WORDS: Mapping[int, str] = {
    4: "it is empty, or it is not XML at all",
    5: "it ends in the middle, as a file does that was cut off on the way",
    9: "it contains a character that XML does not allow, or bytes of another encoding",
    26: "it uses an entity that XML does not know",
    32: "it declares an encoding that is not known",
    38: "the value of an attribute contains `<`",
    39: "an attribute has no quotation marks",
    42: "an attribute stands there twice",
    68: "a name contains a character that is not allowed",
    73: "a tag is not closed with `>`, or the file was cut off there",
    74: "it ends in the middle, as a file does that was cut off on the way",
    76: "an element is not closed before the one around it",
    77: "it ends in the middle, as a file does that was cut off on the way",
    81: "it contains bytes of another encoding than the one it declares",
    89: "its entities expand without measure, as in an attack",
    201: "it uses a prefix without a namespace",
}
_WORDS_IN: Mapping[str, str] = {
    "no element found": _WORDS[4],
    "amplification": _WORDS[89],
    "depth": "its elements are nested too deeply",
    "huge": "a text is too long",
    "buffer": "a text is too long",
    "limit": "something in it is too long",
}
_PLACEHOLDER = re.compile(
    r"#[A-Za-z][\w.-]*#|\{\{[^{}]{1,80}\}\}|\{%[^%]{1,80}%\}|\$\{[^{}]{1,80}\}"
    r"|<%[^%]{1,80}%>|\[\[[^\[\]]{1,80}\]\]|%%[A-Za-z]\w*%%"
)
_SHOWN = 3


def damaged(place: str, error: Any) -> MisconfiguredError:
    """The error for a file that lxml cannot read.

    Args:
        place: The file.
        error: lxml's `XMLSyntaxError`.
    """
    entry = error.error_log.last_error if error.error_log else None
    code = int(entry.type) if entry is not None else int(error.code or 0)
    line, column = error.position
    said = str(error.msg or "no reason given").partition(", line ")[0]
    lower = said.lower()
    words = _WORDS.get(code) or next(
        (words for part, words in _WORDS_IN.items() if part in lower), None
    )
    where = f"line {line}, column {column}"
    text = f"{words} ({said})" if words else said
    problem = f"{place} is damaged at {where}: {text}; ask for the file again"
    return MisconfiguredError("location", problem)


def nothing_found(
    place: str, records: Iterable[str], seen: Mapping[str, int]
) -> MisconfiguredError:
    """The error for a file without any record, with the paths that could be meant.

    Args:
        place: The file.
        records: The paths of the setting.
        seen: How often each path of the file appeared.
    """
    paths = " or ".join(f"`{path}`" for path in records)
    frequent = sorted(seen.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"`{path}` ({count} times)" for path, count in frequent[:_SHOWN]]
    has = f"; it has {', '.join(shown)}" if shown else ""
    return MisconfiguredError("records", f"{place} has no element {paths}{has}")


def check_data(place: str, where: str, values: object) -> None:
    """Refuse a template, whose values are placeholders.

    Args:
        place: The file.
        where: The position of the record.
        values: Its values.

    Raises:
        MisconfiguredError: At least half of its texts are placeholders.
    """
    texts = [(name, text) for name, text in texts_in(values) if text.strip()]
    found = [(name, text) for name, text in texts if _PLACEHOLDER.search(text)]
    if len(found) > 1 and 2 * len(found) >= len(texts):
        name, text = found[0]
        problem = (
            f"{place} is a template, not data: in {where}, `{name}` is"
            f" {shortened(text.strip())!r}, a placeholder for a value; ask for the file"
            " that is made from this template"
        )
        raise MisconfiguredError("location", problem)
