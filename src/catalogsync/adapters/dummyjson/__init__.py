"""DummyJSON as a source of products, read page by page or by id."""

from __future__ import annotations

from ._source import DummyJSONSettings, DummyJSONSource

__all__ = ["DummyJSONSettings", "DummyJSONSource"]
