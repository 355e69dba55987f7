"""Tables as a source: delimited text, workbooks, JSON, Parquet.

Opening the source requires the extra `files`; importing this package does not.
"""

from __future__ import annotations

from ._settings import TableSettings
from ._sniff import sniff

__all__ = ["TableSettings", "sniff"]
