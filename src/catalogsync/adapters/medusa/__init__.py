"""Medusa v2 as a sink, through its Admin API.

`client` speaks HTTP, `places` finds where products go, `references` sees to
categories and tags, `reading`, `shaping` and `bodies` map between the model and
Medusa, `finding` reads products, `updating` and `stock` carry changes out,
`halfmade` adds what a killed server left undone, `owning` lists and removes what is
ours, `adopting` makes ours what stands there, `sink` puts them together.
"""

from __future__ import annotations

from .settings import MedusaSettings
from .sink import MedusaSink

__all__ = ["MedusaSettings", "MedusaSink"]
