"""Products as lines of JSON in one file: a lossless source and sink.

```python
async with JSONLSinkSettings(path="backup.jsonl").open() as backup:
    await sync(source, backup)
async with JSONLSourceSettings(path="backup.jsonl", name="shop").open() as backup:
    await sync(backup, sink)
```

The file has one product a line, in the order of the keys, and each product always has
the same text. So two backups can be compared with `diff`.
"""

from __future__ import annotations

from ._settings import JSONLSinkSettings, JSONLSourceSettings
from ._sink import JSONLSink
from ._source import JSONLSource

__all__ = ["JSONLSink", "JSONLSinkSettings", "JSONLSource", "JSONLSourceSettings"]
