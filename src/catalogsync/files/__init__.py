"""Files wherever they are: opened with fsspec, uncompressed, and never without bounds.

```python
file = find_file("sftp://supplier.example.com/out/products-*.csv.gz")
with file.open(most=1 << 30) as stream:
    first = stream.read(1000)
```

`open_source` makes a source of products from a function that opens the records of a file
of some format: it stages them on disk, so that memory stays bounded and the records of a
product may stand anywhere in the file.

Requires the extra `files`. `find_file` and `FoundFile` block: use them in a thread.
"""

from __future__ import annotations

from ._joining import Extra, joined
from ._location import FoundFile, find_file, shown
from ._records import FileRecords, Row, Rows
from ._settings import FileSettings, check_installed, check_name
from ._source import FileSource, OpenRecords, open_source
from ._upload import Upload, check_marker

__all__ = [
    "Extra",
    "FileRecords",
    "FileSettings",
    "FileSource",
    "FoundFile",
    "OpenRecords",
    "Row",
    "Rows",
    "Upload",
    "check_installed",
    "check_marker",
    "check_name",
    "find_file",
    "joined",
    "open_source",
    "shown",
]
