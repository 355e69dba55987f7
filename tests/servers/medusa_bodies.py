"""Request bodies for the tests of Medusa, short to write."""

from __future__ import annotations

from typing import Any


def usd(amount: float, **more: Any) -> dict[str, Any]:
    return {"amount": amount, "currency_code": "usd", **more}


def variant(sku: str | None, /, amount: float = 9.99, **more: Any) -> dict[str, Any]:
    """A variant whose options are those keywords that begin with a capital."""
    options = {key: value for key, value in more.items() if key[0].isupper()}
    columns = {key: value for key, value in more.items() if not key[0].isupper()}
    title = " / ".join(options.values())
    prices = [usd(amount)]
    return {"title": title, "sku": sku, "options": options, "prices": prices, **columns}


def product(handle: str, /, **more: Any) -> dict[str, Any]:
    """A product with one option and one variant by default."""
    return {
        "title": handle.title(),
        "handle": handle,
        "external_id": f"src:{handle}",
        "status": "published",
        "options": [{"title": "Size", "values": ["S", "M"]}],
        "variants": [variant(f"{handle}-s", Size="S")],
        **more,
    }


def shirt(handle: str = "shirt") -> dict[str, Any]:
    """Two colours in two sizes."""
    return product(
        handle,
        options=[
            {"title": "Color", "values": ["Red", "Blue"]},
            {"title": "Size", "values": ["S", "M"]},
        ],
        variants=[
            variant(
                f"{handle}-{color}-{size}".lower(),
                Color=color,
                Size=size,
                metadata={"key": f"{color}{size}"},
            )
            for color in ("Red", "Blue")
            for size in "SM"
        ],
    )
