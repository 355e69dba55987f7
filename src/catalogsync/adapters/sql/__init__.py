"""A SQL database as a sink for a catalog, and any table or query as a source.

```python
async with SQLSettings(url="sqlite:///catalog.db").open() as sink:
    await sync(source, sink)
```

The sink writes SQLite and PostgreSQL. Opening sink and source requires the extra `sql`;
importing this package does not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._settings import SQLSettings
from ._source_settings import ChangedRows, SQLSourceSettings

if TYPE_CHECKING:
    from ._sink import SQLSink
    from ._source import LookupSQLSource, SQLSource

__all__ = [
    "ChangedRows",
    "LookupSQLSource",
    "SQLSettings",
    "SQLSink",
    "SQLSource",
    "SQLSourceSettings",
]

_MODULES = {
    "SQLSink": "_sink",
    "SQLSource": "_source",
    "LookupSQLSource": "_source",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        problem = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(problem)
    found: object = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    return found
