"""Presets: settings of a source for a format that many use, as TOML files.

The files in `presets` have the settings of a source, its `type` among them. What a job
sets itself replaces what the preset sets; in a table such as `map`, entry by entry.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

from catalogsync.errors import MisconfiguredError

from ._adapters import AdapterKind, Adapters
from ._problems import ProblemsError, did_you_mean, misconfigured
from ._structure import make_converter, read_settings

__all__ = ["completed", "from_preset", "presets"]

_SUFFIX = ".toml"


def presets(kind: str | None = None) -> tuple[str, ...]:
    """The names of the presets that are shipped.

    Args:
        kind: The `type` of a source, such as `table`; None: presets of all sources.
    """
    found = (each.name for each in _shipped().iterdir() if each.name.endswith(_SUFFIX))
    names = sorted(name.removesuffix(_SUFFIX) for name in found)
    return tuple(n for n in names if kind in {None, _read(n)["type"]})


def from_preset(
    name: str, settings: Mapping[str, object], *, adapters: Adapters | None = None
) -> Any:
    """The settings of a source, made of a preset.

    ```python
    source = from_preset("google-merchant", {"location": "feed.xml", "name": "shop"})
    ```

    Args:
        name: Name of a preset, or the path of a file, ending in `.toml`.
        settings: What the preset lacks, and what replaces its settings, as in TOML.
        adapters: Adapters for the preset's `type`; None: the installed ones.

    Raises:
        MisconfiguredError: There is no such preset, or a setting is wrong or missing.
    """
    whole = completed({**settings, "preset": name}, Path.cwd())
    kind = str(whole.pop("type", ""))
    cls = (adapters or Adapters.installed()).settings(AdapterKind.SOURCE, kind)
    try:
        return read_settings(make_converter(), whole, cls)
    except ProblemsError as error:
        raise misconfigured(error.problems) from None


def completed(settings: Mapping[str, object], folder: Path) -> dict[str, object]:
    """Settings on top of those of their preset, if they name one.

    Args:
        settings: The settings, with `type`.
        folder: Where relative paths of presets begin.

    Raises:
        MisconfiguredError: There is no such preset, or it is for another source.
    """
    if "preset" not in settings:
        return dict(settings)
    own = {name: value for name, value in settings.items() if name != "preset"}
    preset = _load(settings["preset"], folder)
    kind = preset.get("type")
    if own.get("type", kind) != kind:
        raise MisconfiguredError("preset", f"is for the source `{kind}`")
    return {**preset, **{n: _merged(preset.get(n), v) for n, v in own.items()}}


def _merged(below: object, above: object) -> object:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**cast("dict[str, object]", below), **cast("dict[str, object]", above)}


def _load(name: object, folder: Path) -> dict[str, object]:
    if not isinstance(name, str):
        raise MisconfiguredError("preset", "must be text")
    try:
        if name.endswith(_SUFFIX):
            return tomllib.loads((folder / name).read_text(encoding="utf-8"))
        if name in presets():
            return _read(name)
    except OSError as error:
        problem = f"cannot be read: {name}: {error.strerror}"
        raise MisconfiguredError("preset", problem) from None
    except ValueError as error:
        raise MisconfiguredError("preset", f"{name} is not TOML: {error}") from None
    problem = did_you_mean(name, presets(), "unknown preset", listed=True)
    raise MisconfiguredError("preset", f"{problem}, or a file NAME{_SUFFIX}")


def _shipped() -> Traversable:
    return files("catalogsync.config").joinpath("presets")


def _read(name: str) -> dict[str, object]:
    """The settings in a preset that is shipped."""
    file = _shipped().joinpath(f"{name}{_SUFFIX}")
    return tomllib.loads(file.read_text(encoding="utf-8"))
