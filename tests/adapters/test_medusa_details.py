"""Texts for customs, the country of origin and discounts, as Medusa has them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest

from catalogsync import (
    UNSET,
    Dimensions,
    Field,
    Options,
    Product,
    ProductKey,
    Report,
    RetryPolicy,
    Variant,
    as_source,
    sync,
)
from catalogsync.adapters.medusa import MedusaSettings, MedusaSink
from catalogsync.diff.ownership import OnManualEdit, Owner

COLUMNS = {
    "subtitle": "For tea",
    "material": "Clay",
    "hs_code": "6912.00",
    "origin_country": "pt",
    "mid_code": "PTCUP42LIS",
    "discountable": False,
}
SIZES = ("weight", "length", "width", "height")
CUP = Product(
    key=ProductKey("shop", "1"),
    title="Cup",
    variants=[Variant(id="only")],
    **{**COLUMNS, "origin_country": "PT"},  # type: ignore[arg-type]
)
PLAIN = attrs.evolve(CUP, **dict.fromkeys(COLUMNS, UNSET))
EMPTY = dict.fromkeys([name for name in COLUMNS if name != "discountable"])


def settings(medusa: Any) -> MedusaSettings:
    return MedusaSettings(url=medusa.url, email=medusa.email, password=medusa.password)


async def put(sink: MedusaSink, product: Product, **more: Any) -> Report:
    options = Options(retry=RetryPolicy(wait_initial=0, wait_jitter=0), **more)
    return await sync(as_source([product], name="shop"), sink, options=options)


async def row(medusa: Any) -> dict[str, Any]:
    fields = ",".join(COLUMNS)
    found = await medusa.get(f"/admin/products?external_id=shop:1&fields=id,{fields}")
    (only,) = found["products"]
    return dict(only)


def columns(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in COLUMNS}


async def test_they_are_written_and_compared(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        assert (await put(sink, CUP)).counts.created == 1
        assert columns(await row(medusa)) == COLUMNS
        assert (await put(sink, CUP)).counts.unchanged == 1
        other = attrs.evolve(CUP, origin_country="DE", discountable=True)
        assert (await put(sink, other)).counts.updated == 1
        changed = {"origin_country": "de", "discountable": True}
        assert columns(await row(medusa)) == COLUMNS | changed
        emptied = attrs.evolve(CUP, **EMPTY)
        assert (await put(sink, emptied)).counts.updated == 1
        assert columns(await row(medusa)) == EMPTY | {"discountable": False}
        assert (await put(sink, emptied)).counts.unchanged == 1


async def test_without_them_a_product_stays_as_it_is(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        await put(sink, PLAIN)
        found = await row(medusa)
        assert columns(found) == EMPTY | {"discountable": True}
        await medusa.post(f"/admin/products/{found['id']}", COLUMNS)
        assert (await put(sink, PLAIN)).counts.unchanged == 1
        assert columns(await row(medusa)) == COLUMNS


@pytest.mark.parametrize("upper", [False, True])
async def test_both_cases_of_a_country_are_equal(medusa: Any, upper: bool) -> None:
    async with settings(medusa).open() as sink:
        await put(sink, CUP)
        id_ = (await row(medusa))["id"]
        body = {"origin_country": "PT" if upper else "pt"}
        await medusa.post(f"/admin/products/{id_}", body)
        assert (await put(sink, CUP)).counts.unchanged == 1


@pytest.mark.parametrize("name", COLUMNS)
async def test_a_manual_edit(medusa: Any, name: str) -> None:
    edit = {name: True if name == "discountable" else "by hand"}
    async with settings(medusa).open() as sink:
        await put(sink, CUP)
        id_ = (await row(medusa))["id"]
        await medusa.post(f"/admin/products/{id_}", edit)
        kept = await put(sink, CUP, on_manual_edit=OnManualEdit.KEEP)
        assert kept.counts.unchanged == 1
        assert [each.diff.path for each in kept.manual_edits] == [name]
        assert columns(await row(medusa)) == COLUMNS | edit
        assert (await put(sink, CUP, verify=1)).counts.updated == 1
        assert columns(await row(medusa)) == COLUMNS


def sized(weight: str | None, height: str | None) -> Product:
    """The cup with a weight and a height of its variant."""
    size = None if height is None else Dimensions(height=Decimal(height))
    grams = None if weight is None else Decimal(weight)
    only = Variant(id="only", weight=grams, dimensions=size)
    return attrs.evolve(CUP, variants=[only])


def approximately(number: str | None) -> Any:
    return None if number is None else pytest.approx(float(number), rel=1e-6)


async def variant_row(medusa: Any) -> dict[str, Any]:
    names = ("id", *SIZES)
    fields = ",".join(["id", *(f"variants.{name}" for name in names)])
    found = await medusa.get(f"/admin/products?external_id=shop:1&fields={fields}")
    (row,) = found["products"][0]["variants"]
    return dict(row)


async def test_weight_and_dimensions_of_a_variant(medusa: Any) -> None:
    """Written, compared with 4 bytes, emptied, and 0 is a weight; `owns` knows them."""
    async with settings(medusa).open() as sink:
        for weight, height in (
            *(("240.123456789", "9"), ("0", "9"), ("0", None), (None, "0.5")),
            *((None, None), ("3", None)),
        ):
            await put(sink, sized(weight, height))
            row = await variant_row(medusa)
            assert row["weight"] == approximately(weight)
            assert row["height"] == approximately(height)
            assert row["length"] is None
            assert (await put(sink, sized(weight, height))).counts.unchanged == 1
        assert (await put(sink, CUP)).counts.unchanged == 1
        assert (await variant_row(medusa))["weight"] == 3
        never = {Field.VARIANT_WEIGHT: Owner.NEVER}
        await put(sink, sized("7", None), owns=never)
        assert (await variant_row(medusa))["weight"] == 3


async def test_a_manual_edit_of_a_variants_weight(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        await put(sink, sized("240", "9"))
        product, variant = (await row(medusa))["id"], (await variant_row(medusa))["id"]
        path = f"/admin/products/{product}/variants/{variant}"
        await medusa.post(path, {"weight": 1, "height": None})
        kept = await put(sink, sized("240", "9"), on_manual_edit=OnManualEdit.KEEP)
        paths = [edit.diff.path for edit in kept.manual_edits]
        assert paths == ["variants.only.weight", "variants.only.dimensions"]
        assert (await put(sink, sized("240", "9"))).counts.updated == 1
        found = await variant_row(medusa)
        assert (found["weight"], found["height"]) == (240, 9)
