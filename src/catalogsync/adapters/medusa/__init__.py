"""Medusa v2 as a sink, through its Admin API.

`client` speaks HTTP, `places` finds where products go, `references` sees to
categories and tags, `reading`, `shaping` and `bodies` map between the model and
Medusa, `updating` and `stock` carry changes out, `sink` puts them together.
"""

from __future__ import annotations

from .settings import MedusaSettings
from .sink import MedusaSink

__all__ = ["MedusaSettings", "MedusaSink"]
