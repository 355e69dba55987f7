"""`catalogsync plan`: what would be done, to be read by a person."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from catalogsync.testing.dummyjson import Records

from .conftest import Configure

Call = Callable[..., Result]

CREATED = """\
+ create dummyjson:1  Tea
    title: "Tea"
    description: "Green, from a hill.\\nIt is good.\\u001b[31m"
    thumbnail: "https://example.com/t.webp"
    weight: "2"
    images: ["https://example.com/1.webp"]
    categories: ["Hot Drinks"]
    tags: ["green", "tea"]
    variants.default.sku: "TEA-1"
    variants.default.prices.USD: "9.99"
    variants.default.stock.default: 4
products: 1 to create, 0 to update, 0 unchanged
  would take 1 write, at least 3 requests
"""

UPDATED = """\
~ update dummyjson:1  Tea, black
    title: "Tea" -> "Tea, black"
    description: "Green, from a hill.\\nIt is good.\\u001b[31m" -> (none)
    images: - "https://example.com/1.webp", + "https://example.com/2.webp"
    variants.default.prices.USD: "9.99" -> "10.5"
    variants.default.stock.default: 4 -> 0
products: 0 to create, 1 to update, 0 unchanged
  would take 1 write, at least 3 requests, about 1 s
"""


def one_product(records: Records) -> None:
    records[:] = [
        {
            "id": 1,
            "title": "Tea",
            "description": "Green, from a hill.\nIt is good.\x1b[31m",
            "category": "hot-drinks",
            "price": 9.99,
            "stock": 4,
            "tags": ["green", "tea"],
            "sku": "TEA-1",
            "weight": 2,
            "images": ["https://example.com/1.webp"],
            "thumbnail": "https://example.com/t.webp",
        }
    ]


def test_plan(configure: Configure, call: Call, records: Records) -> None:
    """Each field that differs, the counts at the end, and nothing is written."""
    one_product(records)
    result = call("plan", "products")
    assert (result.exit_code, result.stdout) == (0, CREATED)
    assert not Path("shop.bin").exists()
    assert call("run", "products").exit_code == 0
    before = Path("shop.bin").read_bytes()
    records[0].update(
        title="Tea, black",
        description="",
        price=10.5,
        stock=0,
        images=["https://example.com/2.webp"],
    )
    result = call("plan", "products", "--report", "report.json")
    message = re.sub(r"about \d+ s", "about 1 s", result.stdout)
    assert (result.exit_code, message) == (0, UPDATED)
    assert Path("shop.bin").read_bytes() == before
    report = json.loads(Path("report.json").read_text())
    assert (report["job"], report["counts"]["updated"]) == ("products", 1)
    assert (report["planned"], report["writes"]) == (True, 1)


def test_unchanged(configure: Configure, call: Call) -> None:
    """Nothing to do is one line."""
    call("run", "products")
    result = call("plan", "products", "--limit", "3", "--no-progress")
    assert result.output == (
        "products: 0 to create, 0 to update, 3 unchanged (chosen products)\n"
    )


def test_problems(configure: Configure, call: Call, records: Records) -> None:
    """Products that cannot be planned are listed and decide the status."""
    records[1]["price"] = "free"
    del records[2]["id"]
    result = call("plan", "products")
    assert result.exit_code == 1
    assert "products: 3 to create, 0 to update, 0 unchanged, 2 failed" in result.stdout
    assert "\n  failed dummyjson:2: price: must be a number" in result.stdout
    assert "\n  rejected page skip=" in result.stdout


def test_absent_key(configure: Configure, call: Call) -> None:
    """A key that the source does not have is listed."""
    result = call("plan", "products", "--key", "99")
    assert result.exit_code == 1
    assert "\n  warning: the source does not have dummyjson:99" in result.stdout


def test_long_values(configure: Configure, call: Call, records: Records) -> None:
    """Long values are cut, except with -v."""
    one_product(records)
    records[0]["description"] = "x" * 300
    short = call("plan", "products").stdout
    assert f'    description: "{"x" * 98}…\n' in short
    assert f'"{"x" * 300}"' in call("plan", "products", "-v").stdout


def test_order_of_images(configure: Configure, call: Call, records: Records) -> None:
    """A list that only changes its order is shown as a whole."""
    one_product(records)
    records[0]["images"] = ["https://example.com/1", "https://example.com/2"]
    call("run", "products")
    records[0]["images"].reverse()
    expected = (
        'images: ["https://example.com/1", "https://example.com/2"]'
        ' -> ["https://example.com/2", "https://example.com/1"]'
    )
    assert expected in call("plan", "products").stdout
