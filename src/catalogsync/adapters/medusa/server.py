"""The server: its feature flags, its version, and the permissions of the login.

Observed on Medusa 2.21.2: `GET /admin/feature-flags` needs no login. With
`index_engine`, product lists with a filter come from an index that lags behind. With
`rbac`, a login needs a role, and a secret API key, which has none, is refused. With
`rbac_filter_fields` as well, replies silently lack the fields that a role may not read.
No reply contains the version, so it is derived from the routes that exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from catalogsync.errors import BrokenReplyError, MisconfiguredError, UnauthorizedError
from catalogsync.protocols import CheckResult

from .client import ApiKey, MedusaClient, MedusaRefusedError

__all__ = ["check_supported", "find_version", "read_flags", "server_checks"]

_FLAGS = "/admin/feature-flags"
_OLDEST = "2.17.0"
_SINCE = (
    ("2.20.0", "/admin/users/none/auth-providers"),
    ("2.17.2", "/admin/layouts/configurations?limit=1"),
    (_OLDEST, "/admin/product-options?limit=1"),
)
_KNOWN = frozenset(
    {"backend_hmr", "caching", "index_engine", "rbac", "rbac_filter_fields"}
    | {"translation", "view_configurations"}
)
_READ = (
    *("inventory_item", "inventory_level", "price", "product", "product_category"),
    *("product_option", "product_option_value", "product_tag", "product_variant"),
    *("sales_channel", "shipping_profile"),
)
"""The resources of all product columns that are read."""


async def read_flags(client: MedusaClient) -> frozenset[str]:
    """The feature flags that are on.

    Raises:
        BrokenReplyError: The reply does not contain the flags.
        MisconfiguredError: The server does not list its flags.
    """
    try:
        flags: object = (await client.get_public(_FLAGS))["feature_flags"]
    except MedusaRefusedError as error:
        problem = (
            f"GET {_FLAGS}: HTTP {error.status}; is this the address of Medusa"
            f" {_OLDEST} or newer?"
        )
        raise MisconfiguredError("url", problem) from None
    if not isinstance(flags, dict):
        raise BrokenReplyError(f"GET {_FLAGS}: feature_flags: must be an object")
    return frozenset(name for name, on in cast("dict[str, Any]", flags).items() if on)


async def check_supported(client: MedusaClient, flags: frozenset[str]) -> None:
    """Check that a sync can rely on the data that it reads.

    Args:
        client: The store.
        flags: The feature flags that are on.

    Raises:
        MisconfiguredError: It cannot; the message says why, and what to change.
    """
    if "index_engine" in flags:
        problem = (
            "Medusa's feature flag index_engine is on: product lists come from an"
            " index that lags behind, so new products would be created twice;"
            " switch MEDUSA_FF_INDEX_ENGINE off"
        )
        raise MisconfiguredError("url", problem)
    if "rbac" in flags and isinstance(client.auth, ApiKey):
        problem = (
            "Medusa's feature flag rbac is on, and secret API keys have no role;"
            " set email and password of a user who has one"
        )
        raise MisconfiguredError("api_key", problem)
    if {"rbac", "rbac_filter_fields"} <= flags:
        await _check_role(client)


async def _check_role(client: MedusaClient) -> None:
    path = "/admin/rbac/me/permissions"
    granted: object = (await client.get(path))["permissions"]
    if not isinstance(granted, list):
        raise BrokenReplyError(f"GET {path}: permissions: must be a list")
    missing = [need for name in _READ if (need := f"{name}:read") not in granted]
    if missing:
        problem = (
            f"the role of this user lacks {', '.join(missing)}, and Medusa's feature"
            " flag rbac_filter_fields leaves out what a role may not read; add the"
            " permissions to the role"
        )
        raise MisconfiguredError("email", problem)


async def server_checks(client: MedusaClient) -> Sequence[CheckResult]:
    """Version and feature flags, for `catalogsync check`."""
    flags = await read_flags(client)
    return [await find_version(client), _flags(flags)]


async def find_version(client: MedusaClient) -> CheckResult:
    """The version, as far as the routes reveal it."""
    for version, path in _SINCE:
        if await _exists(client, path):
            text = f"Medusa {version} or newer; the oldest supported is {_OLDEST}"
            return CheckResult(ok=True, what="version", text=text)
    text = f"Medusa is older than {_OLDEST}, the oldest supported; update it"
    return CheckResult(ok=False, what="version", text=text)


async def _exists(client: MedusaClient, path: str) -> bool:
    """Whether a route exists, whatever its reply."""
    try:
        await client.get(*path.split("?"))
    except MisconfiguredError:
        return False
    except (MedusaRefusedError, UnauthorizedError):
        return True
    return True


def _flags(flags: frozenset[str]) -> CheckResult:
    known, unknown = sorted(flags & _KNOWN), sorted(flags - _KNOWN)
    text = f"on: {', '.join(known) or 'none'}"
    if unknown:
        text += f"; unknown to this version of catalogsync: {', '.join(unknown)}"
    return CheckResult(ok=True, what="feature_flags", text=text)
