"""Tables as a source: delimited text, workbooks, JSON, Parquet.

Opening the source requires the extra `files`; importing this package does not.
"""

from __future__ import annotations

from ._settings import TableSettings
from ._sniff import Proposal, sniff
from ._source import TableSource

__all__ = ["Proposal", "TableSettings", "TableSource", "sniff"]
