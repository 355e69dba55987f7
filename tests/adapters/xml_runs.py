"""XML files, and mappings that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.pages import built

from catalogsync import Product, Rejected
from catalogsync.adapters.xml import XMLSettings
from catalogsync.config import load_config
from catalogsync.mapping import Expression, RecordMapping

OWN = Path(__file__).parent / "feeds"
SHARED = Path(__file__).parents[3] / "shared" / "feeds"
MAPPING = RecordMapping(
    key=Expression(from_=("@id", "id")), title=Expression(from_="name")
)

MERCHANT = """
records = "channel/item"
[jobs.feed.source.map]
key = { from = ['"g:item_group_id"', '"g:id"'] }
title = "title"
description = "description"
brand = '"g:brand"'
images = { all = ['"g:image_link"', '"g:additional_image_link"'] }
categories = '"g:product_type"'
category_levels = ">"
weight = '"g:shipping_weight"'
variant = '"g:id"'
sku = '"g:id"'
barcode = '"g:gtin"'
price = '"g:price"'
options.Color = '"g:color"'
options.Size = '"g:size"'
"""
ATOM = """
records = "/feed/entry"
[jobs.feed.source.map]
key = { from = ['"g:item_group_id"', '"g:id"'] }
title = '"g:title"'
description = '"g:description"'
brand = '"g:brand"'
images = { all = '"g:image_link"' }
categories = '"g:google_product_category"'
category_levels = ">"
variant = '"g:id"'
price = '"g:price"'
"""
BMECAT = """
records = ["PRODUCT", "ARTICLE"]
outside = { root = "HEADER/CATALOG/MIME_ROOT", money = "HEADER/CATALOG/CURRENCY" }
[jobs.feed.source.map]
key = { from = ["SUPPLIER_PID", "SUPPLIER_AID"] }
title = { from = ["PRODUCT_DETAILS.DESCRIPTION_SHORT", "ARTICLE_DETAILS.DESCRIPTION_SHORT"] }
description = { from = ["PRODUCT_DETAILS.DESCRIPTION_LONG", "ARTICLE_DETAILS.DESCRIPTION_LONG"] }
tags = { all = ["PRODUCT_DETAILS.KEYWORD", "ARTICLE_DETAILS.KEYWORD"] }
images = { all = "to_array(MIME_INFO.MIME)[].MIME_SOURCE", template = "{root}/{value}" }
sku = { from = ["SUPPLIER_PID", "SUPPLIER_AID"] }
barcode = { from = ['PRODUCT_DETAILS.INTERNATIONAL_PID."#text"', "ARTICLE_DETAILS.EAN"] }
weight = { from = "PRODUCT_LOGISTIC_DETAILS.PRODUCT_DIMENSIONS.WEIGHT", unit = "kg" }
currency = "money"
[jobs.feed.source.map.price]
from = [
  "to_array(PRODUCT_PRICE_DETAILS.PRODUCT_PRICE)[?LOWER_BOUND=='1'].PRICE_AMOUNT | [0]",
  "to_array(ARTICLE_PRICE_DETAILS.ARTICLE_PRICE)[?LOWER_BOUND=='1'].PRICE_AMOUNT | [0]",
]
"""
_PRICE = "to_array(ProductSupply)[].to_array(SupplyDetail)[].to_array(Price)[]"
ONIX = f"""
records = "Product"
[jobs.feed.source.map]
key = "RecordReference"
title = "to_array(DescriptiveDetail.TitleDetail)[?TitleType=='01'].to_array(TitleElement)[] | [?TitleElementLevel=='01'] | [0].join(' ', [TitlePrefix || '', TitleWithoutPrefix || TitleText])"
description = "to_array(CollateralDetail.TextContent)[?TextType=='03'].Text | [0]"
brand = "PublishingDetail.Imprint.ImprintName"
images = {{ all = "to_array(CollateralDetail.SupportingResource)[?ResourceContentType=='01'].to_array(ResourceVersion)[].ResourceLink" }}
weight = {{ from = "to_array(DescriptiveDetail.Measure)[?MeasureType=='08'].Measurement | [0]", unit = "g" }}
sku = "RecordReference"
barcode = "to_array(ProductIdentifier)[?ProductIDType=='15'].IDValue | [0]"
stock = "to_array(ProductSupply)[].to_array(SupplyDetail)[].to_array(Stock)[].OnHand | [0]"
[jobs.feed.source.map.prices]
AUD = "{_PRICE} | [?CurrencyCode=='AUD' && !PriceQualifier].PriceAmount | [0]"
NZD = "{_PRICE} | [?CurrencyCode=='NZD' && !PriceQualifier].PriceAmount | [0]"
"""
SKROUTZ = """
records = "products/product"
[jobs.feed.source.map]
key = "UniqueID"
title = "name"
price = { from = "price_with_vat", currency = "EUR" }
"""


def job(folder: Path, location: Path | str, text: str) -> Any:
    """A job as it stands in a file."""
    file = folder / "catalogsync.toml"
    head = f"""
[jobs.feed]
sink = {{ type = "sql", url = "sqlite://" }}
[jobs.feed.source]
type = "xml"
name = "feed"
location = "{location}"
"""
    file.write_text(head + text, encoding="utf-8")
    return load_config(file).job("feed")


async def read_all(opening: Any) -> tuple[list[Product], list[Rejected]]:
    """Everything that a source has, in its order."""
    products: list[Product] = []
    rejected: list[Rejected] = []
    async with opening as source:
        page = await source.read(None)
        later = [*page.next]
        pages = [page, *[await source.read(cursor) for cursor in later]]
    for page in pages:
        some, others = built(page)
        products += some
        rejected += others
        assert page.total == pages[0].total
    return products, rejected


def written(folder: Path, content: str | bytes, name: str = "feed.xml") -> Path:
    file = folder / name
    data = content.encode() if isinstance(content, str) else content
    file.write_bytes(data)
    return file


def settings(location: Path | str, **given: Any) -> XMLSettings:
    values = {"records": "item", "map": MAPPING, **given}
    return XMLSettings(location=str(location), name="feed", **values)
