"""A catalog in a SQL database: SQLite in one file, or PostgreSQL.

```python
async with SQLSettings(url="sqlite:///catalog.db").open() as sink:
    await sync(source, sink)
```

Opening the sink requires the extra `sql`; importing this package does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._settings import SQLSettings

if TYPE_CHECKING:
    from ._sink import SQLSink

__all__ = ["SQLSettings", "SQLSink"]


def __getattr__(name: str) -> object:
    if name != "SQLSink":
        problem = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(problem)
    from ._sink import SQLSink

    return SQLSink
