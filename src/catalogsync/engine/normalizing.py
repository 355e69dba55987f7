"""What a sink can hold of a product, and warnings about the rest."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import attrs

from catalogsync.catalog.changes import KINDS
from catalogsync.catalog.checks import shortened
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import UNSET, Product, Variant
from catalogsync.diff.describe import normalized
from catalogsync.diff.ownership import Rules, narrowed
from catalogsync.errors import BrokenPromiseError, InvalidValueError, RefusedError
from catalogsync.protocols import NormalizingSink, Sink

from . import promises
from .hash_set import HashSet
from .recorder import Recorder

__all__ = ["Normalizer"]


_OF_VARIANTS = frozenset({"stock", "weight", "dimensions"})


@attrs.define(kw_only=True)
class Normalizer:
    """Reduces products to what the sink can hold.

    Attributes:
        sink: The sink.
        recorder: Receives warnings, and the outcomes of products that it cannot hold.
        rules: Which fields a change may write.
        noteworthy: Hashes of the keys of products about which the run said something.
    """

    sink: Sink
    recorder: Recorder
    rules: Rules
    noteworthy: HashSet = attrs.field(factory=HashSet, init=False)
    _shape: Callable[[Product], Product] | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        # isinstance() with a protocol is slow, and this is needed for every product.
        sink = self.sink
        self._shape = (
            partial(promises.shape, sink) if isinstance(sink, NormalizingSink) else None
        )

    def normalize(self, product: Product) -> Product | None:
        """The product as the sink can hold it; None: it failed."""
        product = self._without_negative_stock(self._narrowed(product))
        never = self.rules.without(creating=True) & KINDS.keys()
        if never:
            # Otherwise references would be created that no product gets.
            product = attrs.evolve(product, **dict.fromkeys(never, UNSET))  # type: ignore[arg-type]
        if self._shape is None:
            return product
        try:
            shaped = self._shape(product)
        except RefusedError as error:
            self._fail(product, error.reason, error.said)
        except InvalidValueError as error:
            self._fail(product, f"the sink cannot hold it: {error}")
        except BrokenPromiseError as error:
            self._fail(product, str(error))
        else:
            if shaped is not product:
                self._warn_of_normalized(product, shaped)
            return shaped
        return None

    def _narrowed(self, product: Product) -> Product:
        only = self.rules.only
        return product if only is None else narrowed(product, only)

    def _without_negative_stock(self, product: Product) -> Product:
        """The product with stock of 0 where more was sold than there was."""
        variants = product.variants or ()
        if not any(map(_is_oversold, variants)):
            return product
        self.noteworthy.add(hash(product.key))
        self.recorder.count_warning("stock below 0 counts as 0", str(product.key))
        return attrs.evolve(product, variants=[*map(_not_below_zero, variants)])

    def _warn_of_normalized(self, product: Product, shaped: Product) -> None:
        """Warn of values that the sink keeps differently, once for each field."""
        fields = set[str]()
        for item in normalized(product, shaped):
            field = item.path.split(".", 1)[0]
            if field == "variants":
                last = item.path.rpartition(".")[2]
                field = last if last in _OF_VARIANTS else "prices"
            if field not in fields:
                fields.add(field)
                self.noteworthy.add(hash(product.key))
                values = f"{shortened(item.old)} becomes {shortened(item.new)}"
                example = f"{product.key} {item.path} ({values})"
                self.recorder.count_warning(
                    f"the sink cannot keep {field} as supplied", example
                )

    def _fail(self, product: Product, reason: str, said: str = "") -> None:
        self.recorder.record(Outcome(product.key, OutcomeStatus.FAILED, reason, said))


def _is_oversold(variant: Variant) -> bool:
    for level in variant.stock or ():  # noqa: SIM110 - twice as fast as `any`
        if level.quantity < 0:
            return True
    return False


def _not_below_zero(variant: Variant) -> Variant:
    if not _is_oversold(variant):
        return variant
    stock = [
        attrs.evolve(level, quantity=max(level.quantity, 0))
        for level in variant.stock or ()
    ]
    return attrs.evolve(variant, stock=stock)
