"""Files wherever they are: opened with fsspec, uncompressed, and never without bounds.

```python
file = find_file("sftp://supplier.example.com/out/products-*.csv.gz")
with file.open(most=1 << 30) as stream:
    first = stream.read(1000)
```

Requires the extra `files`. All functions block: call them in a thread.
"""

from __future__ import annotations

from ._location import FoundFile, find_file, shown

__all__ = ["FoundFile", "find_file", "shown"]
