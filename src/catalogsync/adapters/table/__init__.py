"""Tables as a source: delimited text, workbooks, JSON, Parquet.

Opening the source requires the extra `files`; importing this package does not.
"""

from __future__ import annotations

from ._settings import Join, TableSettings
from ._sniff import sniff

__all__ = ["Join", "TableSettings", "sniff"]
