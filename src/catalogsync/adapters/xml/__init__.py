"""An XML file of any size as a source.

```python
settings = XMLSettings(
    location="https://supplier.example.com/feed.xml",
    name="supplier",
    records="channel/item",
    map=RecordMapping(key=Expression(from_="id"), title=Expression(from_="title")),
)
async with settings.open() as source:
    await sync(source, sink)
```

Opening the source requires the extra `files`; importing this package does not.
"""

from __future__ import annotations

from ._settings import XMLSettings
from ._sniff import sniff
from ._tree import Tree

__all__ = ["Tree", "XMLSettings", "sniff"]
