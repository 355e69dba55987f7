"""The channel, shipping profile, stock location and currencies for products.

Each comes from a setting or from the store's defaults; if neither determines it,
opening the sink fails before anything is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from catalogsync._lib.concurrency import each
from catalogsync._lib.digests import digest_of
from catalogsync.errors import MisconfiguredError
from catalogsync.protocols import CheckResult

from .client import MedusaClient
from .levels import Stock

__all__ = ["Locations", "Places", "discover", "find_locations"]

_COUNTS_AVAILABLE = CheckResult(
    ok=True,
    what="stock",
    text="quantities can still be sold; reserved pieces are added to them",
)
_ALL = "limit=1000&fields="
_LOOKUPS = (
    (
        "stores",
        "id,default_sales_channel_id,default_location_id,supported_currencies.currency_code",
    ),
    ("sales_channels", "id,name"),
    ("shipping_profiles", "id,name,type"),
    ("stock_locations", "id,name,sales_channels.id"),
)


@attrs.frozen(kw_only=True)
class Places:
    """The resources of the store that products refer to.

    Attributes:
        channel: Id of the sales channel.
        profile: Id of the shipping profile.
        location: Id of the stock location for levels without a location.
        locations: Ids of all stock locations, by id and by name.
        currencies: ISO 4217 codes, upper case, in which prices are written.
        linked: Whether the location is linked to the channel, so that shoppers can buy.
        names: Names of the channel, the profile and the location, by id.
        counts: What quantities count.
    """

    channel: str
    profile: str
    location: str
    locations: Mapping[str, str]
    currencies: frozenset[str]
    linked: bool
    names: Mapping[str, str]
    counts: Stock = "on_hand"

    def digest(self) -> bytes:
        """A digest that changes with anything that products refer to."""
        locations, currencies = sorted(self.locations.items()), sorted(self.currencies)
        chosen = (self.channel, self.profile, self.location, self.counts)
        ids = (*chosen, locations, currencies)
        return digest_of(repr(ids).encode(errors="surrogatepass"))

    def checks(self) -> Sequence[CheckResult]:
        """The chosen resources, for `catalogsync check`."""
        names = ", ".join(sorted(self.currencies))
        link = "is linked to the sales channel"
        if not self.linked:
            link = (
                "is not linked to the sales channel: link it, or nothing can be bought"
            )
        return [
            CheckResult(ok=True, what="sales_channel", text=self._named(self.channel)),
            CheckResult(
                ok=True, what="shipping_profile", text=self._named(self.profile)
            ),
            CheckResult(
                ok=self.linked,
                what="stock_location",
                text=f"{self._named(self.location)} {link}",
            ),
            CheckResult(ok=True, what="currency", text=f"prices in {names}"),
            *([_COUNTS_AVAILABLE] if self.counts == "available" else ()),
        ]

    def _named(self, id_: str) -> str:
        return f"{self.names.get(id_)!r} ({id_})"


async def discover(
    client: MedusaClient,
    *,
    sales_channel: str | None,
    shipping_profile: str | None,
    stock_location: str | None,
    currency: str | None,
    counts: Stock = "on_hand",
) -> Places:
    """Look up the resources that the settings name, and the defaults for the others.

    Raises:
        MisconfiguredError: A setting is wrong or missing; the error names it.
    """
    stores, channels, profiles, locations = await each(
        partial(_all, client), _LOOKUPS, at_once=len(_LOOKUPS)
    )
    store: dict[str, Any] = stores[0] if stores else {}
    channel = _choose(
        "sales_channel", sales_channel, channels, store.get("default_sales_channel_id")
    )
    default = next((p["id"] for p in profiles if p.get("type") == "default"), None)
    location = _choose(
        "stock_location", stock_location, locations, store.get("default_location_id")
    )
    profile = _choose("shipping_profile", shipping_profile, profiles, default)
    names = {item["name"]: item["id"] for item in locations}
    return Places(
        channel=channel["id"],
        profile=profile["id"],
        location=location["id"],
        locations={**names, **{item["id"]: item["id"] for item in locations}},
        currencies=_currencies(store, currency),
        names={item["id"]: item["name"] for item in (channel, profile, location)},
        linked=channel["id"] in _linked(location),
        counts=counts,
    )


@attrs.frozen(kw_only=True)
class Locations:
    """The stock locations of a store, for reading.

    Attributes:
        default: Id of the one that levels without a location belong to; None: none.
        names: Names of the others, by id.
    """

    default: str | None
    names: Mapping[str, str]


async def find_locations(client: MedusaClient, given: str | None) -> Locations:
    """The stock locations; the default is the given, the store's or the only one.

    Raises:
        MisconfiguredError: There is no such location.
    """
    lookups = [pair for pair in _LOOKUPS if pair[0] in {"stores", "stock_locations"}]
    stores, locations = await each(partial(_all, client), lookups, at_once=2)
    default = stores[0].get("default_location_id") if stores else None
    if given is not None:
        default = _choose("stock_location", given, locations, None)["id"]
    elif len(locations) == 1:
        default = locations[0]["id"]
    names = {item["id"]: item["name"] for item in locations if item["id"] != default}
    return Locations(default=default, names=names)


async def _all(client: MedusaClient, lookup: tuple[str, str]) -> list[dict[str, Any]]:
    what, fields = lookup
    path = f"/admin/{what.replace('_', '-')}"
    found: list[dict[str, Any]] = (await client.get(path, _ALL + fields))[what]
    return found


def _linked(location: Mapping[str, Any]) -> set[str]:
    """The channels of a location; a deleted channel is null in the list."""
    channels = location.get("sales_channels") or ()
    return {channel["id"] for channel in channels if channel}


def _choose(
    setting: str, given: str | None, known: list[dict[str, Any]], default: str | None
) -> dict[str, Any]:
    """The one with the given id or name, else the default, else the only one."""
    what = setting.replace("_", " ")
    names = ", ".join(repr(item["name"]) for item in known)
    if not known:
        problem = f"the store has no {what}; create one in Medusa's settings"
        raise MisconfiguredError(setting, problem)
    if given is not None:
        for item in known:
            if given in {item["id"], item["name"]}:
                return item
        problem = f"the store has no {what} {given!r}; it has {names}"
        raise MisconfiguredError(setting, problem)
    for item in known:
        if item["id"] == default:
            return item
    if len(known) > 1:
        problem = f"the store has no default {what}; set one of {names}"
        raise MisconfiguredError(setting, problem)
    return known[0]


def _currencies(store: Mapping[str, Any], given: str | None) -> frozenset[str]:
    known = frozenset(
        str(item["currency_code"]).upper()
        for item in store.get("supported_currencies") or ()
    )
    if given is None:
        return known
    if given.upper() not in known:
        names = ", ".join(sorted(known)) or "none"
        problem = (
            f"the store does not sell in {given.upper()}, only in {names};"
            " add it in Medusa's settings"
        )
        raise MisconfiguredError("currency", problem)
    return frozenset({given.upper()})
