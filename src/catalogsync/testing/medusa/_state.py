"""The server's data: tables of rows, and the rows of a new store."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ._errors import Row, exists
from ._ids import Ids
from ._journal import Journal

Table = dict[str, Row]

EMAIL = "admin@example.com"
PASSWORD = "supersecret"  # noqa: S105 - of a server that is not one

_CATALOG = (
    *("products", "variants", "options", "tags", "types", "collections"),
    *("categories", "items", "levels", "reservations"),
    *("handles", "external_ids", "skus", "barcodes", "item_skus", "files"),
)


class State:
    """The rows by id, and indexes of unique values.

    Rows refer to related rows directly; see ``KINDS``. A product without a shipping
    profile and a variant without a price set lack that key. Tests may read and change
    everything here, including the enabled feature flags and the permissions that the
    user's role lacks, to simulate people and crashes.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        seed: int,
        flags: Iterable[str] = (),
        denied: Iterable[str] = (),
    ) -> None:
        self.flags = set(flags)
        self.denied = set(denied)
        self.indexed: set[str] = set()
        self.ids = Ids(clock, seed)
        self.journal = Journal()
        self.products: Table = {}
        self.variants: Table = {}
        self.options: Table = {}
        self.tags: Table = {}
        self.types: Table = {}
        self.collections: Table = {}
        self.categories: Table = {}
        self.items: Table = {}
        self.levels: Table = {}
        self.reservations: Table = {}
        self.handles: Table = {}
        self.external_ids: dict[str, Table] = {}
        self.skus: Table = {}
        self.barcodes: Table = {}
        self.item_skus: Table = {}
        self.files: dict[str, bytes] = {}
        self._open_store()

    def _open_store(self) -> None:
        first = self._row("sc", name="Default Sales Channel", is_disabled=False)
        second = self._row("sc", name="Second Sales Channel", is_disabled=False)
        profile = self._row("sp", name="Default Shipping Profile", type="default")
        region = self._row("reg", name="United States", currency_code="usd")
        channels = [first, second]
        location = self._row(
            "sloc", name="Warehouse", address=None, sales_channels=channels
        )
        self.channels: Table = {row["id"]: row for row in channels}
        self.profiles: Table = {profile["id"]: profile}
        self.regions: Table = {region["id"]: region}
        self.locations: Table = {location["id"]: location}
        store = self._row(
            "store",
            name="Medusa Store",
            default_sales_channel_id=first["id"],
            default_region_id=region["id"],
            default_location_id=location["id"],
            supported_currencies=[
                self.currency({"currency_code": "usd", "is_default": True})
            ],
        )
        self.stores: Table = {store["id"]: store}
        user = self._row("user", email=EMAIL, first_name=None, last_name=None)
        self.users: Table = {user["id"]: user}
        keys = [
            self._key("sk", "secret", "catalogsync", []),
            self._key("pk", "publishable", "Storefront", [first]),
            self._key("pk", "publishable", "Second storefront", [second]),
        ]
        self.keys: Table = {row["id"]: row for row in keys}

    def _key(self, start: str, kind: str, title: str, channels: list[Row]) -> Row:
        secret = f"{start}_{self.ids.text(64)}"
        return self._row(
            "apk",
            type=kind,
            title=title,
            secret=secret,
            token=f"{secret[:6]}***{secret[-3:]}",
            redacted=f"{secret[:6]}***{secret[-3:]}",
            revoked_at=None,
            sales_channels=channels,
        )

    def currency(self, chosen: Row) -> Row:
        """A currency that the store supports, as the store's settings have it."""
        is_default = bool(chosen.get("is_default"))
        code = chosen["currency_code"]
        return self._row("stocur", currency_code=code, is_default=is_default)

    def _row(self, prefix: str, **columns: object) -> Row:
        return {**columns, **self.stamp(prefix)}

    def add_location(self, name: str) -> Row:
        """Add a stock location that serves no sales channel."""
        location = self._row("sloc", name=name, address=None, sales_channels=[])
        self.locations[location["id"]] = location
        return location

    def stamp(self, prefix: str) -> Row:
        """The columns that all new rows have."""
        now = self.ids.now()
        return {
            "id": self.ids.new(prefix),
            "created_at": now,
            "updated_at": now,
            "deleted_at": None,
        }

    def clear(self) -> None:
        """Empty the catalog; the settings of the store stay."""
        for name in _CATALOG:
            getattr(self, name).clear()

    def claim(
        self, index: Table, key: str | None, row: Row, name: str, old: str | None = None
    ) -> None:
        """Register a unique value of a row, and free its old one.

        Raises:
            MedusaError: Another row has it.
        """
        if key == old:
            return
        if key is not None:
            if index.get(key, row) is not row:
                raise exists(name, key)
            self.journal.put(index, key, row)
        self.release(index, old, row)

    def release(self, index: Table, key: str | None, row: Row) -> None:
        """Free a unique value, if this row has it."""
        if key is not None and index.get(key) is row:
            self.journal.drop(index, key)

    def change(self, row: Row, columns: Row) -> None:
        """Set columns, and the time of the update if any of them differs."""
        changed = {
            name: value
            for name, value in columns.items()
            if row.get(name) != value or type(row.get(name)) is not type(value)
        }
        if not changed:
            return
        for name, value in {**changed, "updated_at": self.ids.now()}.items():
            self.journal.put(row, name, value)

    def replace(self, row: Row, relation: str, rows: Iterable[Row | None]) -> None:
        """Set the relations of a row, but not the time of its update."""
        self.journal.put(row, relation, list(rows))
