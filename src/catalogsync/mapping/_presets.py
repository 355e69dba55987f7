"""Presets: maps for the files of well-known systems, as TOML files."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from catalogsync.errors import InvalidValueError

__all__ = ["completed", "presets"]

_FOLDER = Path(__file__).parent / "presets"


def completed(table: Mapping[str, object]) -> Mapping[str, object]:
    """A map as it stands in a configuration, completed by its preset.

    Keys of the map replace those of the preset.

    Raises:
        InvalidValueError: There is no such preset, or its file is not TOML.
    """
    name = table.get("preset")
    if not isinstance(name, str):
        return table
    file = Path(name) if name.endswith(".toml") else _shipped(name)
    try:
        preset = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        problem = f"{file} cannot be read: {error.strerror}"
        raise InvalidValueError("preset", problem) from None
    except ValueError as error:
        raise InvalidValueError("preset", f"{file} is not TOML: {error}") from None
    return {**preset, **table}


def presets() -> Mapping[str, Sequence[str]]:
    """The columns that each preset names, by its name."""
    found: dict[str, Sequence[str]] = {}
    for file in sorted(_FOLDER.glob("*.toml")):
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
        found[file.stem] = sorted(set(_columns(tree)))
    return found


def _columns(tree: object) -> Iterator[str]:
    """The names of columns in a preset."""
    for key, value in cast("dict[str, object]", tree).items():
        if isinstance(value, str) and key not in {"category_levels", "decimal"}:
            yield value
        elif isinstance(value, dict):
            inner = cast("dict[str, object]", value)
            named = {k: v for k, v in inner.items() if k in {"from", "all"}} or (
                inner if key == "options" else {}
            )
            for each in named.values():
                yield from [each] if isinstance(each, str) else cast("list[str]", each)


def _shipped(name: str) -> Path:
    known = sorted(file.stem for file in _FOLDER.glob("*.toml"))
    if name in known:
        return _FOLDER / f"{name}.toml"
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean `{nearest[0]}`?" if nearest else f"known: {', '.join(known)}"
    raise InvalidValueError("preset", f"unknown preset; {hint}, or a file NAME.toml")
