"""Pages of a source with all products built, as a run without a state store does it."""

from __future__ import annotations

from catalogsync import Product
from catalogsync.catalog.drafts import Draft
from catalogsync.catalog.outcomes import Rejected
from catalogsync.protocols import Page


def built(page: Page) -> tuple[list[Product], list[Rejected]]:
    """The products of a page, and what it rejects."""
    made = [each.build() if isinstance(each, Draft) else each for each in page.products]
    products = [each for each in made if isinstance(each, Product)]
    late = [each for each in made if isinstance(each, Rejected)]
    return products, [*page.rejected, *late]
