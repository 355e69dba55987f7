"""Presets: maps for the files of well-known systems, as TOML files."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path

from catalogsync.errors import InvalidValueError

__all__ = ["completed"]

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


def _shipped(name: str) -> Path:
    known = sorted(file.stem for file in _FOLDER.glob("*.toml"))
    if name in known:
        return _FOLDER / f"{name}.toml"
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean `{nearest[0]}`?" if nearest else f"known: {', '.join(known)}"
    raise InvalidValueError("preset", f"unknown preset; {hint}, or a file NAME.toml")
