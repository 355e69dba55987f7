"""Any JSON or GraphQL API as a source: pages, credentials and mapping are settings.

```python
settings = JSONAPISettings(
    url="https://api.example.com/v2/products",
    items="data",
    total="meta.total",
    paging=Paging(style="page"),
    auth=Credentials(token="..."),
    map=RecordMapping(key=Expression(from_="id"), title=Expression(from_="name")),
)
async with settings.open() as source:
    await sync(source, sink)
```

Opening the source requires the extra `mapping`; importing this package does not.
"""

from __future__ import annotations

from ._auth import Credentials
from ._grouped import GroupedJSONAPISource
from ._lookup import LookupJSONAPISource
from ._settings import ChangedSince, GraphQL, JSONAPISettings, Paging
from ._sniff import sniff
from ._source import JSONAPISource

__all__ = [
    "ChangedSince",
    "Credentials",
    "GraphQL",
    "GroupedJSONAPISource",
    "JSONAPISettings",
    "JSONAPISource",
    "LookupJSONAPISource",
    "Paging",
    "sniff",
]
