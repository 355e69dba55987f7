"""DummyJSON as a source: products by pages, and single ones by id."""

from __future__ import annotations

from ._source import DummyJSONSettings, DummyJSONSource

__all__ = ["DummyJSONSettings", "DummyJSONSource"]
