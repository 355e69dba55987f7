"""Manual edits: values of ours that people changed in the sink, and whether they stay.

The last-applied state tells them from changes of the source: the source still has the
value that we wrote last, but the sink has another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import attrs

from catalogsync.catalog.changes import Existing, FieldDiff, for_display
from catalogsync.catalog.products import Field, ProductKey

from .last_applied import LastApplied, digest
from .ownership import ManualEdit, OnManualEdit, Rules

__all__ = ["Edits"]


@attrs.define(slots=False)
class Edits:
    """The manual edits that are found while two products are compared.

    Attributes:
        key: The product.
        existing: The product in the sink.
        rules: What happens to manual edits.
        found: Manual edits found so far, whether they are kept or not.
    """

    key: ProductKey
    existing: Existing
    rules: Rules
    found: list[ManualEdit] = attrs.field(factory=list[ManualEdit])

    @cached_property
    def last_applied(self) -> LastApplied:
        """The product's last-applied state; its text is parsed only once it is needed."""
        return LastApplied.parse(self.existing.last_applied)

    def keeps(
        self,
        path: str,
        before: str | None,
        *,
        old: object,
        new: object,
        keep: bool | None = None,
    ) -> bool:
        """Whether a value that differs is a manual edit that stays.

        Args:
            path: Path of the value.
            before: Digest of the value that we wrote last; None: we wrote none.
            old: The value in the sink.
            new: The value of the source.
            keep: Whether manual edits stay; None: what the rules say about products.
        """
        if before is None or self.existing.missing_parts or before != digest(new):
            return False
        if self.rules.edited is not None and path not in self.rules.edited:
            return False
        kept = self.rules.on_manual_edit is OnManualEdit.KEEP if keep is None else keep
        diff = FieldDiff(path=path, old=for_display(old), new=for_display(new))
        self.found.append(ManualEdit(key=self.key, diff=diff, kept=kept))
        return kept

    def keeps_list(
        self, field: Field, old: Iterable[str], new: Iterable[str], *, same: bool
    ) -> bool:
        """Like `keeps`, for a list; *same*: the source has the list that we wrote."""
        items = list(new)
        before = digest(items) if same and field in self.last_applied.lists else None
        return self.keeps(field.value, before, old=list(old), new=items)
