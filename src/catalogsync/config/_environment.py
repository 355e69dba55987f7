"""Environment variables in a configuration: `${NAME}` in its texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from catalogsync._lib.texts import encodable

from ._problems import Problem, joined

_PLACE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>[^}]*)(?P<end>\}?))")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Expanded(str):
    """A text with values from the environment; no message repeats it."""

    __slots__ = ()


def expand(
    value: object, path: str, environ: Mapping[str, str], problems: list[Problem]
) -> object:
    """Replace the variables in all texts of a tree.

    `${NAME}` is replaced with the variable and `$$` with a dollar sign.

    Args:
        value: The tree from tomllib.
        path: Path of the tree in the file.
        environ: The variables.
        problems: Receives a problem for each text that cannot be expanded; that text
            stays unchanged.
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
    failures: list[str] = []

    def replace(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        name = match["name"]
        if not match["end"] or not _NAME.fullmatch(name):
            failures.append(
                "`${` does not begin a variable; write `$${` for a literal `${`"
            )
        elif name not in environ:
            failures.append(f"the environment variable {name} is not set")
        elif encodable(environ[name]) != environ[name]:
            failures.append(f"the environment variable {name} is not UTF-8")
        else:
            return environ[name]
        return match[0]

    if "$" not in text:
        return text
    after = _PLACE.sub(replace, text)
    problems.extend(Problem(path, failure) for failure in failures[:1])
    return Expanded(after) if "${" in text else after
