"""Medusa v2 as a sink, through its Admin API.

`client` sends requests and `schema` checks the replies. `store_context` finds the sales
channel, shipping profile and stock location. `mapping`, `normalize` and `payloads`
convert between the model and Medusa. `queries` reads products, `references` handles
categories and tags, `updating` and `stock` write changes, `repair` completes products
that a killed server left incomplete, `removal` lists and removes managed products,
`adoption` takes over existing ones, and `sink` combines them.
"""

from __future__ import annotations

from .settings import MedusaSettings
from .sink import MedusaSink

__all__ = ["MedusaSettings", "MedusaSink"]
