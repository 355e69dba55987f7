"""What a shop owner writes for each of the sample files: a preset, or a mapping."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs
from tests.adapters.xml_runs import ONIX

OWN = Path(__file__).parent / "feeds"
SHARED = Path(__file__).parents[3] / "shared" / "feeds"
FOLDERS = (OWN, SHARED) if SHARED.is_dir() else (OWN,)

MEDUSA = """
preset = "medusa-csv"
[jobs.feed.source.map]
thumbnail = { from = "Product Thumbnail", template = "https://img.example.com/{value}" }
images = { all = ["Product Image *", "Image * Url"], template = "https://img.example.com/{value}" }
description = { from = "Product Description", escapes = true }
"""
OFBIZ = """
type = "table"
[jobs.feed.source.map]
key = "Style No"
title = "Product Name"
brand = "Brand"
variant = { template = "{Style No}-{Color}-{Size}" }
options = { Color = "Color", Size = "Size" }
price = { from = "List Price", currency = "CNY" }
stock = "Stock Qty"
stock_location = "FacilityId"
"""
SALEOR = '''
type = "table"
items = """attach(attach(attach([?model=='product.product'], 'variants', &pk, attach(attach(attach(
  [?model=='product.productvariant'], 'prices', &pk, [?model=='product.productvariantchannellisting'], &fields.variant),
  'stock', &pk, [?model=='warehouse.stock'], &fields.product_variant), 'choices', &pk, attach(
    [?model=='attribute.assignedvariantattribute'], 'values', &pk, attach([?model=='attribute.assignedvariantattributevalue'],
      'is', &fields.value, attach([?model=='attribute.attributevalue'], 'of', &fields.attribute, [?model=='attribute.attribute'], &pk), &pk), &fields.assignment), &fields.variant), &fields.product),
  'media', &pk, sort_by([?model=='product.productmedia'], &fields.sort_order), &fields.product),
  'category', &fields.category, tree_paths([?model=='product.category'], &pk, &fields.parent, &fields.name), &pk)"""
[jobs.feed.source.map]
key = "pk"
title = "fields.name"
description = "fields.description_plaintext"
images = { all = "media[].fields.image", template = "https://shop.example/media/{value}" }
categories = { from = "category[0].path", join = " > " }
category_levels = ">"
variants = "variants"
variant = "pk"
variant_order = "fields.sort_order"
sku = "fields.sku"
options.Size = "choices[].values[].is[] | [?of[0].fields.name=='Size'] | [0].fields.name"
options."Shoe size" = "choices[].values[].is[] | [?of[0].fields.name=='Shoe size'] | [0].fields.name"
options.Medium = "choices[].values[].is[] | [?of[0].fields.name=='Medium'] | [0].fields.name"
prices = { USD = "prices[?fields.currency=='USD'].fields.price_amount | [0]", PLN = "prices[?fields.currency=='PLN'].fields.price_amount | [0]" }
stock = "stock[0].fields.quantity"
decimal = "."
'''
BIGBRIDGE = """
type = "xml"
records = ["import/simple", "import/configurable"]
[jobs.feed.source.map]
key = '"@sku"'
title = "global.name"
status = { from = "global.status", words = { 1 = "published", 2 = "draft" } }
categories = { all = "category_global_names.item" }
category_levels = "/"
members = { all = "variant_skus.item" }
variant_if = "stock.qty"
sku = '"@sku"'
options.Color = "global.color"
price = { from = "global.price", currency = "EUR" }
stock = "stock.qty"
"""


@attrs.frozen(kw_only=True)
class Feed:
    """A file, and what is expected of it.

    Attributes:
        source: The settings of the source, as TOML.
        products: Number of products, in our file and in the shared one.
        variants: Number of variants, likewise.
        locations: Stock locations that the store must have.
    """

    source: str
    products: tuple[int, int]
    variants: tuple[int, int]
    locations: tuple[str, ...] = ()


FEEDS: Mapping[str, Feed] = {
    "medusa-export-semicolon.csv": Feed(
        source=MEDUSA, products=(2, 2), variants=(3, 3)
    ),
    "medusa-v1-template.csv": Feed(source=MEDUSA, products=(2, 3), variants=(3, 5)),
    "medusa-prices-with-region.csv": Feed(
        source=MEDUSA, products=(1, 1), variants=(1, 1)
    ),
    "spree-import.csv": Feed(
        source='preset = "spree-csv"\nshort_rows = "fill"\n',
        products=(2, 2),
        variants=(3, 15),
    ),
    "spree-products.csv": Feed(
        source='preset = "spree-csv"\n', products=(2, 37), variants=(3, 87)
    ),
    "saleor-catalog.json": Feed(source=SALEOR, products=(2, 32), variants=(3, 73)),
    "bmecat-2005.xml": Feed(
        source='preset = "bmecat"\n', products=(2, 1), variants=(2, 1)
    ),
    "bmecat-1.2.xml": Feed(
        source='preset = "bmecat"\n', products=(1, 1), variants=(1, 1)
    ),
    "onix-3.0-books.xml": Feed(
        source='type = "xml"' + ONIX, products=(2, 20), variants=(2, 20)
    ),
    "ofbiz-price-list.xlsx": Feed(
        source=OFBIZ,
        products=(2, 3),
        variants=(3, 7),
        locations=("WebStoreWarehouse", "WestStoreWarehouse"),
    ),
    "bigbridge-configurable.xml": Feed(
        source=BIGBRIDGE, products=(2, 1), variants=(3, 2)
    ),
    "google-merchant-rss.xml": Feed(
        source='preset = "google-merchant"\n', products=(2, 1), variants=(3, 2)
    ),
    "meta-catalog-atom.xml": Feed(
        source='preset = "google-merchant"\n', products=(1, 1), variants=(1, 1)
    ),
}
"""By the name of the file."""

REFUSED: Mapping[str, tuple[str, str]] = {
    "magmi-multilang.csv": (
        'type = "table"\nmap = { key = "sku", title = "name" }\n',
        "ask for the original file",
    ),
    "skroutz-template.xml": (
        'type = "xml"\nrecords = "products/product"\nmap = { key = "UniqueID", title = "name" }\n',
        "is a template, not data",
    ),
    "spree-translations.csv": (
        'type = "table"\nmap = { key = "slug", title = "name", price = "price" }\n',
        "spree-translations.csv has no column `price`; its columns: `slug`, `locale`",
    ),
    "bmecat-1.2-update-prices.xml": (
        'preset = "bmecat"\n',
        r"is an update (T_UPDATE_PRICES) for version 42",
    ),
}
"""The settings and the words of the error, by the name of the file."""
