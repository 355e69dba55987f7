"""Medusa v2 as a sink and as a source, through its Admin API.

`settings` opens both. `source` reads a store page by page, and `reading` makes products
from its replies. `sink` combines the other modules, some of which the source shares:

* `client` sends requests, `schema` and `served` check the replies, `errors` finds the
  product that a refusal is about, and `server` checks flags, version and permissions.
* `store_context` finds the sales channel, shipping profile and stock location.
* `mapping`, `levels`, `normalize`, `handles` and `payloads` convert between the model
  and Medusa.
* `queries` reads products, and `references` handles categories and tags.
* `uploads` stores images.
* `options`, `updating`, `reshaping`, `choosing`, `replacing`, `inventory` and `stock`
  write changes: new options, fields, other options and variants, their option values,
  variants with other ids, inventory items, and stock levels.
* `repair` completes products that a killed server left incomplete, `removal` lists and
  removes managed products, and `adoption` takes over existing ones.
"""

from __future__ import annotations

from .settings import MedusaSettings, MedusaSourceSettings
from .sink import MedusaSink
from .source import MedusaSource

__all__ = ["MedusaSettings", "MedusaSink", "MedusaSource", "MedusaSourceSettings"]
