"""Who owns a field, and what becomes of values that people edited."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

from catalogsync.catalog.changes import FieldDiff
from catalogsync.catalog.products import (
    UNSET,
    Field,
    Product,
    ProductKey,
    Variant,
    evolve_unchecked,
)
from catalogsync.errors import InvalidValueError

__all__ = ["ManualEdit", "OnManualEdit", "Owner", "Rules"]


class Owner(enum.StrEnum):
    """When the source decides on a field.

    ALWAYS: in every run. ON_CREATE: when the product or variant is created; then it
    belongs to the shop's people. NEVER: it is not written at all.
    """

    ALWAYS = "always"
    ON_CREATE = "on_create"
    NEVER = "never"


class OnManualEdit(enum.StrEnum):
    """What becomes of a value of ours that a person edited in the sink.

    It matters as long as the source says the same as when we wrote the value; once
    the source changes it, the source wins.
    """

    OVERWRITE = "overwrite"
    KEEP = "keep"


@attrs.frozen(kw_only=True)
class ManualEdit:
    """A value of ours that a person edited in the sink.

    Attributes:
        key: Of which product; of a category, the source's name and its id there.
        diff: Which value; `old` is the person's, `new` is the source's.
        kept: Whether the person's stays.
    """

    key: ProductKey
    diff: FieldDiff
    kept: bool

    def __str__(self) -> str:
        what = "kept" if self.kept else "overwrote"
        diff = self.diff
        return f"{what} an edit: {self.key} {diff.path}: {diff.old!r} ({diff.new!r})"


_DEFAULTS = {Field.STATUS: Owner.ON_CREATE}


def _check_owns(_: object, __: object, value: Mapping[Field, Owner]) -> None:
    if value.get(Field.TITLE) is Owner.NEVER:
        problem = "a product cannot be created without; `on_create` leaves it then"
        raise InvalidValueError("owns.title", problem)


@attrs.frozen(kw_only=True)
class Rules:
    """What a run may do to a product that is there.

    Attributes:
        owns: Who decides on which field; `always` where nothing is said, but for
            the status, which is `on_create`.
        on_manual_edit: What becomes of edited values; None: a product's are overwritten, and
            names and places of categories are kept.
        job: Noted in last-applied states, so that jobs which share a source do not prune each
            other's products.
        edited: Paths where a difference can be a person's edit; None: anywhere.
            Elsewhere it is what a write left behind that broke off.
    """

    owns: Mapping[Field, Owner] = attrs.field(
        factory=dict[Field, Owner], validator=_check_owns
    )
    on_manual_edit: OnManualEdit | None = OnManualEdit.OVERWRITE
    job: str = ""
    edited: frozenset[str] | None = None
    _without: Mapping[bool, frozenset[Field]] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        # Asked for each product, and the answer is one of two.
        found = {
            creating: frozenset(
                f for f in Field if not self.writes(f, creating=creating)
            )
            for creating in (False, True)
        }
        object.__setattr__(self, "_without", found)

    def writes(self, field: Field, *, creating: bool) -> bool:
        """Whether this field is written."""
        owner = self.owns.get(field) or _DEFAULTS.get(field, Owner.ALWAYS)
        return owner is Owner.ALWAYS or (creating and owner is Owner.ON_CREATE)

    def without(self, *, creating: bool) -> frozenset[Field]:
        """The fields that are not written."""
        return self._without[creating]


_VARIANT_FIELDS = {
    Field.VARIANT_TITLE: "title",
    Field.SKU: "sku",
    Field.BARCODE: "barcode",
    Field.PRICES: "prices",
    Field.STOCK: "stock",
}


def claim(desired: Product, existing: Product | None, rules: Rules) -> Product:
    """The product without what is not the source's to decide.

    Args:
        desired: As the source has it.
        existing: As the sink has it; None: it is to be created.
        rules: Who decides.
    """
    if not rules.owns:
        return desired
    without = rules.without(creating=existing is None) - {Field.VARIANTS}
    values: dict[str, object] = {
        field.value: UNSET
        for field in without
        if hasattr(desired, field.value) and field is not Field.TITLE
    }
    if Field.TITLE in without and existing is not None:
        values["title"] = existing.title
    if desired.variants:
        values["variants"] = _variants(desired.variants, existing, rules) or UNSET
    # The title may be the sink's, and follow no rules.
    return evolve_unchecked(desired, **values)


def _variants(
    desired: tuple[Variant, ...], existing: Product | None, rules: Rules
) -> tuple[Variant, ...]:
    known = {v.id: v for v in (existing.variants or ())} if existing else {}
    stay = rules.writes(Field.VARIANTS, creating=existing is None)
    return tuple(
        _variant(variant, known.get(variant.id), rules)
        for variant in desired
        if stay or variant.id in known
    )


def _variant(desired: Variant, existing: Variant | None, rules: Rules) -> Variant:
    without = rules.without(creating=existing is None)
    values: dict[str, object] = {
        name: UNSET for field, name in _VARIANT_FIELDS.items() if field in without
    }
    if Field.OPTIONS in without:
        values["options"] = existing.options if existing else {}
    return evolve_unchecked(desired, **values)
