"""Finding adapters and describing their settings."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import attrs
import pytest

from catalogsync import MisconfiguredError
from catalogsync.config import AdapterKind, Adapters, SettingInfo
from catalogsync.errors import MissingExtraError

from .stand_ins import ADAPTERS


def entry(value: str) -> EntryPoint:
    return EntryPoint(name="x", value=value, group="catalogsync.sinks")


def test_describe() -> None:
    """Name, kind, module and every setting with type, default and text."""
    shelf, box = ADAPTERS.describe()
    assert (shelf.kind, shelf.name) == (AdapterKind.SOURCE, "shelf")
    assert shelf.module.endswith("stand_ins")
    assert shelf.doc == "A shelf with products."
    settings = {setting.name: setting for setting in shelf.settings}
    assert settings["url"] == SettingInfo(
        name="url",
        type="str",
        default=None,
        required=True,
        secret=False,
        doc="Where the shelf stands; it may be far away.",
    )
    texts = {name: (each.type, each.default) for name, each in settings.items()}
    assert texts["size"] == ("int", "2")
    assert texts["labels"] == ("Mapping[str, int]", "{}")
    assert texts["tags"] == ("tuple[str, ...]", "[]")
    assert texts["folder"] == ("Path | None", "null")
    assert texts["net.timeout"] == ("float", "60.0")
    secret = {setting.name for setting in box.settings if setting.secret}
    assert secret == {"password", "api_key"}


def test_entry_points_are_loaded_when_used() -> None:
    """A broken adapter is reported when it is used, and affects no other."""
    broken = {
        "gone": entry("catalogsync.no_such_module:Settings"),
        "empty": entry("catalogsync.catalog.products:NoSuchThing"),
        "function": entry("catalogsync.diff.compare:plan"),
    }
    adapters = Adapters(sources=ADAPTERS.sources, sinks={**ADAPTERS.sinks, **broken})
    problems = {info.name: info.problem for info in adapters.describe()}
    assert "catalogsync.no_such_module:Settings cannot be loaded" in problems["gone"]
    assert "cannot be loaded" in problems["empty"]
    assert "is not an attrs class" in problems["function"]
    assert problems["shelf"] == problems["box"] == ""
    with pytest.raises(MisconfiguredError, match=r"^type: .*cannot be loaded"):
        adapters.settings(AdapterKind.SINK, "gone")


def test_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter whose module needs an extra says which."""

    def load(self: EntryPoint) -> object:
        raise MissingExtraError("the sink", "sql")

    monkeypatch.setattr(EntryPoint, "load", load)
    adapters = Adapters(sources={}, sinks={"x": entry("a:b")})
    with pytest.raises(MissingExtraError):
        adapters.settings(AdapterKind.SINK, "x")
    (info,) = adapters.describe()
    assert "pip install 'catalogsync[sql]'" in info.problem


def test_odd_classes() -> None:
    """Settings without docs, without init, or with a default from themselves."""

    @attrs.define
    class Odd:
        """One line.

        Attributes:
            a (int): With a type.

        Notes:
            b: Not this.
        """

        a: int = 1
        b: list[int] = attrs.field(default=attrs.Factory(list, takes_self=True))
        c: int = attrs.field(default=0, init=False)

        def open(self) -> None: ...

    (info,) = Adapters(sources={"odd": Odd}, sinks={}).describe()
    assert [(each.name, each.doc) for each in info.settings] == [
        ("a", "With a type."),
        ("b", ""),
    ]
