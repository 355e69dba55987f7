"""Ownership of fields, and what to do with manual edits."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

from catalogsync.catalog.changes import FieldDiff
from catalogsync.catalog.products import (
    UNSET,
    VARIANT_FIELDS,
    Field,
    Product,
    ProductKey,
    Variant,
    evolve_unchecked,
    unchecked,
)
from catalogsync.errors import InvalidValueError

__all__ = ["ManualEdit", "OnManualEdit", "Owner", "Rules"]


class Owner(enum.StrEnum):
    """When the source decides on a field.

    ALWAYS: in every run. ON_CREATE: when the product or variant is created; after that
    the field belongs to the people of the store. NEVER: it is not written at all.
    """

    ALWAYS = "always"
    ON_CREATE = "on_create"
    NEVER = "never"


class OnManualEdit(enum.StrEnum):
    """What to do with a value of ours that a person edited in the sink.

    This applies while the source still has the value that we wrote. If the source
    changes it, the source wins.
    """

    OVERWRITE = "overwrite"
    KEEP = "keep"


@attrs.frozen(kw_only=True)
class ManualEdit:
    """A value of ours that a person edited in the sink.

    Attributes:
        key: Key of the product; for a category, the name of the source and its id
            there.
        diff: The value: `old` is the person's, `new` is the source's.
        kept: Whether the person's value stays.
    """

    key: ProductKey
    diff: FieldDiff
    kept: bool

    def __str__(self) -> str:
        what = "keeps" if self.kept else "overwrites"  # of a plan, too
        diff = self.diff
        return f"{what} an edit: {self.key} {diff.path}: {diff.old!r} ({diff.new!r})"


_DEFAULTS = {Field.STATUS: Owner.ON_CREATE}
NOT_ALONE = frozenset(
    {
        Field.CATEGORIES,
        Field.TAGS,
        Field.TYPE,
        Field.COLLECTION,
        Field.VARIANTS,
        Field.OPTIONS,
        Field.SKU,
        Field.BARCODE,
    }
)
"""Fields that need a run over all fields: they create, remove or swap something."""


def _check_owns(_: object, __: object, value: Mapping[Field, Owner]) -> None:
    if value.get(Field.TITLE) is Owner.NEVER:
        problem = "a product cannot be created without a title; use `on_create`"
        raise InvalidValueError("owns.title", problem)


@attrs.frozen(kw_only=True)
class Rules:
    """What a run may do to an existing product.

    Attributes:
        owns: When the source decides on a field. The default is ALWAYS, and ON_CREATE
            for the status.
        on_manual_edit: What to do with manual edits; None: those of products are
            overwritten, and names and parents of categories are kept.
        job: Stored in last-applied states, so that jobs with the same source do not
            prune each other's products.
        edited: Paths where a difference can be a manual edit; None: all. Elsewhere, an
            interrupted write left the difference behind.
        only: The fields that a lane compares and writes; None: all. A lane adds and
            removes no variant, and leaves the rest of the last-applied state as it is.
    """

    owns: Mapping[Field, Owner] = attrs.field(
        factory=dict[Field, Owner], validator=_check_owns
    )
    on_manual_edit: OnManualEdit | None = OnManualEdit.OVERWRITE
    job: str = ""
    edited: frozenset[str] | None = None
    only: frozenset[Field] | None = None
    _without: Mapping[bool, frozenset[Field]] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        # Needed for each product, so both answers are computed once.
        found = {
            creating: frozenset(
                f for f in Field if not self.writes(f, creating=creating)
            )
            for creating in (False, True)
        }
        object.__setattr__(self, "_without", found)

    def writes(self, field: Field, *, creating: bool) -> bool:
        """Whether this field is written."""
        if self.only is not None and field not in self.only:
            return False
        owner = self.owns.get(field) or _DEFAULTS.get(field, Owner.ALWAYS)
        return owner is Owner.ALWAYS or (creating and owner is Owner.ON_CREATE)

    def without(self, *, creating: bool) -> frozenset[Field]:
        """The fields that are not written."""
        return self._without[creating]


def without_unowned(
    desired: Product, existing: Product | None, rules: Rules, *, creating: bool = False
) -> Product:
    """The desired product without the fields that the source does not own.

    Args:
        desired: The product of the source.
        existing: The product in the sink; None: it is to be created.
        rules: Who owns which field.
        creating: Whether an incomplete product is treated as one to be created.
    """
    if not rules.owns and rules.only is None:
        return desired
    creating = creating or existing is None
    without = rules.without(creating=creating) - {Field.VARIANTS}
    values: dict[str, object] = {
        field.value: UNSET
        for field in without
        if hasattr(desired, field.value) and field is not Field.TITLE
    }
    if Field.TITLE in without and existing is not None:
        values["title"] = existing.title
    if desired.variants:
        known = {v.id: v for v in (existing.variants or ())} if existing else {}
        may_add = rules.writes(Field.VARIANTS, creating=creating)
        variants = tuple(
            _variant(variant, known.get(variant.id), rules, creating=creating)
            for variant in desired.variants
            if may_add or variant.id in known
        )
        values["variants"] = variants or UNSET
    # The title may be the one in the sink, which need not be valid.
    return evolve_unchecked(desired, **values)


def narrowed(product: Product, only: frozenset[Field]) -> Product:
    """The product as a source would supply it that has only these fields.

    The title stays, because each product has one.

    Args:
        product: The product.
        only: The fields to keep.
    """
    values: dict[str, object] = {
        field.value: UNSET
        for field in Field
        if field not in only | {Field.TITLE} and hasattr(product, field.value)
    }
    of_variants = {f: name for f, name in VARIANT_FIELDS.items() if f in only}
    if product.variants and of_variants:
        variants = tuple(
            unchecked(
                Variant,
                id=variant.id,
                **{name: getattr(variant, name) for name in of_variants.values()},
            )
            for variant in product.variants
        )
        values[Field.VARIANTS.value] = variants
    return evolve_unchecked(product, **values)


def _variant(
    desired: Variant, existing: Variant | None, rules: Rules, *, creating: bool
) -> Variant:
    without = rules.without(creating=creating or existing is None)
    values: dict[str, object] = {
        name: UNSET for field, name in VARIANT_FIELDS.items() if field in without
    }
    if Field.OPTIONS in without:
        values["options"] = existing.options if existing else {}
    return evolve_unchecked(desired, **values)
