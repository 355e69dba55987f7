"""Texts for customs, the country of origin and discounts, as Medusa has them."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from catalogsync import (
    UNSET,
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
from catalogsync.diff.ownership import OnManualEdit

COLUMNS = {
    "subtitle": "For tea",
    "material": "Clay",
    "hs_code": "6912.00",
    "origin_country": "pt",
    "mid_code": "PTCUP42LIS",
    "discountable": False,
}
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
