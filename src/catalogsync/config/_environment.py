"""`${NAME}` in the texts of a configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from catalogsync._lib.texts import encodable

from ._problems import Problem, joined

__all__ = ["Expanded", "expand"]

_PLACE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>[^}]*)(?P<end>\}?))")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Expanded(str):
    """A text that holds something of the environment: no message repeats it."""

    __slots__ = ()


def expand(
    value: object, path: str, environ: Mapping[str, str], problems: list[Problem]
) -> object:
    """Put the environment's values into every text of a tree.

    `${NAME}` stands for a variable, `$$` for a dollar; any other dollar stays.

    Args:
        value: The tree, as tomllib gives it.
        path: Where it stands.
        environ: The variables.
        problems: Takes what cannot be expanded; such a text stays as it is.
    """
    if isinstance(value, str):
        return _expand_text(value, path, environ, problems)
    if isinstance(value, list):
        items = enumerate(cast("list[object]", value))
        return [
            expand(item, f"{path}[{index}]", environ, problems) for index, item in items
        ]
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value).items()
        return {
            name: expand(item, joined(path, name), environ, problems)
            for name, item in entries
        }
    return value


def _expand_text(
    text: str, path: str, environ: Mapping[str, str], problems: list[Problem]
) -> str:
    texts: list[str] = []

    def replace(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        name = match["name"]
        if not match["end"] or not _NAME.fullmatch(name):
            told = "`${` begins no variable; write `$${` for the characters themselves"
            texts.append(told)
        elif name not in environ:
            texts.append(f"the environment variable {name} is not set")
        elif encodable(environ[name]) != environ[name]:
            texts.append(f"the environment variable {name} is not UTF-8")
        else:
            return environ[name]
        return match[0]

    if "$" not in text:
        return text
    after = _PLACE.sub(replace, text)
    problems.extend(Problem(path, told) for told in texts[:1])
    return Expanded(after) if "${" in text else after
