"""The installed adapters, found by their entry points."""

from __future__ import annotations

import enum
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Self

import attrs

from catalogsync.errors import MisconfiguredError, MissingExtraError
from catalogsync.mapping import RecordMapping

from ._problems import did_you_mean
from ._secrets import is_secret
from ._structure import setting_name, type_hints


class AdapterKind(enum.StrEnum):
    """The two kinds of adapters."""

    SOURCE = "source"
    SINK = "sink"


@attrs.frozen(kw_only=True)
class SettingInfo:
    """One setting of an adapter.

    Attributes:
        name: Name of the setting, for example `url` or `http.timeout`.
        type: Python type, as text.
        default: Default as JSON; None if it is required or secret.
        required: Whether it has no default.
        secret: Whether its value is kept out of all output.
        doc: Description from the docstring of the settings class.
    """

    name: str
    type: str
    default: str | None
    required: bool
    secret: bool
    doc: str


@attrs.frozen(kw_only=True)
class AdapterInfo:
    """Description of one adapter.

    Attributes:
        kind: Source or sink.
        name: Value of `type` in a configuration.
        module: Module of the settings class.
        doc: First line of the docstring of the settings class.
        settings: The settings.
        problem: Why the adapter cannot be used; empty if it can.
    """

    kind: AdapterKind
    name: str
    module: str
    doc: str = ""
    settings: tuple[SettingInfo, ...] = ()
    problem: str = ""


@attrs.frozen(kw_only=True)
class Adapters:
    """Settings classes by `type`, their name in a configuration.

    A settings class is an attrs class with a method `open` that opens the adapter for
    the length of a block (`catalogsync.engine.Openable`). Entry points are loaded when
    they are used.

    Attributes:
        sources: Settings classes of sources.
        sinks: Settings classes of sinks.
    """

    sources: Mapping[str, type[Any] | EntryPoint]
    sinks: Mapping[str, type[Any] | EntryPoint]

    @classmethod
    def installed(cls) -> Self:
        """The entry points of all installed packages."""
        return cls(
            sources={e.name: e for e in entry_points(group="catalogsync.sources")},
            sinks={e.name: e for e in entry_points(group="catalogsync.sinks")},
        )

    def settings(self, kind: AdapterKind, name: str) -> type[Any]:
        """The settings class of an adapter.

        Raises:
            MisconfiguredError: There is no such adapter, or it cannot be used.
            MissingExtraError: An extra that it needs is not installed.
        """
        known = self._of(kind)
        if name not in known:
            what = f"unknown {kind}"
            problem = did_you_mean(name, known, what, listed=True)
            raise MisconfiguredError("type", problem)
        found = known[name]
        cls = found if isinstance(found, type) else _loaded(found)
        if not attrs.has(cls) or not callable(getattr(cls, "open", None)):
            problem = f"{cls!r} is not an attrs class with a method `open`"
            raise MisconfiguredError("type", problem)
        return cls

    def describe(self) -> tuple[AdapterInfo, ...]:
        """All adapters with their settings, sources first."""
        return tuple(
            self._describe(kind, name)
            for kind in AdapterKind
            for name in sorted(self._of(kind))
        )

    def _of(self, kind: AdapterKind) -> Mapping[str, type[Any] | EntryPoint]:
        return self.sources if kind is AdapterKind.SOURCE else self.sinks

    def _describe(self, kind: AdapterKind, name: str) -> AdapterInfo:
        found = self._of(kind)[name]
        module = found.__module__ if isinstance(found, type) else found.module
        try:
            cls = self.settings(kind, name)
        except (MisconfiguredError, MissingExtraError) as error:
            problem = getattr(error, "problem", str(error))
            return AdapterInfo(kind=kind, name=name, module=module, problem=problem)
        return AdapterInfo(
            kind=kind,
            name=name,
            module=module,
            doc=inspect.cleandoc(cls.__doc__ or "").partition("\n")[0],
            settings=tuple(_settings(cls, "")),
        )


def _loaded(entry: EntryPoint) -> type[Any]:
    try:
        found: type[Any] = entry.load()
    except MissingExtraError:
        raise
    except (ImportError, AttributeError) as error:
        problem = f"{entry.value} cannot be loaded: {error}"
        raise MisconfiguredError("type", problem) from error
    return found


def _settings(cls: type[Any], prefix: str) -> Iterator[SettingInfo]:
    hints, docs = type_hints(cls), _attribute_docs(cls)
    for field in attrs.fields(cls):
        if not field.init:
            continue
        hint = hints[field.name]
        if attrs.has(hint) and hint is not RecordMapping:  # which has its own page
            yield from _settings(hint, f"{prefix}{setting_name(field)}.")
            continue
        yield SettingInfo(
            name=f"{prefix}{setting_name(field)}",
            type=_type_text(hint),
            default=_default(field),
            required=field.default is attrs.NOTHING,
            secret=is_secret(field),
            doc=docs.get(field.name, ""),
        )


def _type_text(hint: Any) -> str:
    text = hint.__name__ if isinstance(hint, type) else str(hint)
    return re.sub(r"\b[a-z_]+\.(?=[A-Za-z_])", "", text)


def _default(field: attrs.Attribute[Any]) -> str | None:
    default: Any = field.default
    if default is attrs.NOTHING or is_secret(field):
        return None
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        if default.takes_self:
            return None
        default = default.factory()
    return json.dumps(default, default=str, ensure_ascii=False)


def _attribute_docs(cls: type) -> dict[str, str]:
    """The entries under `Attributes:` of a docstring in Google's style."""
    _, _, section = inspect.cleandoc(cls.__doc__ or "").partition("\nAttributes:\n")
    docs: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        entry = re.match(r" {4}(\w+)(?: \([^)]*\))?: (.*)", line)
        if entry:
            name, docs[entry[1]] = entry[1], entry[2]
        elif name and line.startswith("     "):
            docs[name] += f" {line.strip()}"
        elif line.strip():
            break
    return docs
