"""The command `adapters`: installed adapters as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from catalogsync.config import AdapterInfo, SettingInfo


def adapters_text(adapters: Iterable[AdapterInfo]) -> str:
    """All adapters and their settings, as text."""
    return "\n\n".join("\n".join(_lines(each)) for each in adapters)


def _lines(adapter: AdapterInfo) -> Iterator[str]:
    yield f"{adapter.kind} {adapter.name} ({adapter.module})"
    if adapter.problem:
        yield f"  cannot be used: {adapter.problem}"
        return
    if adapter.doc:
        yield f"  {adapter.doc}"
    for setting in adapter.settings:
        yield f"    {setting.name}: {setting.type}{_default(setting)}"
        if setting.doc:
            yield f"        {setting.doc}"


def _default(setting: SettingInfo) -> str:
    if setting.required:
        return ", required"
    if setting.default is None:
        return ", secret" if setting.secret else ""
    return f" = {setting.default}"
