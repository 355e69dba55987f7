"""DummyJSON into a real Medusa store: check the settings, show the plan, sync.

The settings come from the environment:

    MEDUSA_URL        the address of the server, without /admin
    MEDUSA_EMAIL      an admin user, and
    MEDUSA_PASSWORD   the password; or, instead of both,
    MEDUSA_API_KEY    a secret API key
    DUMMYJSON_URL     the source; default: https://dummyjson.com

`python examples/medusa.py` writes nothing; `python examples/medusa.py --write` does.
`examples/medusa-store` contains a store for experiments.
"""

from __future__ import annotations

import asyncio
import sys
from os import environ

from catalogsync import CatalogSyncError, Change, Create, Sync, sync
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.adapters.medusa import MedusaSettings
from catalogsync.catalog.changes import ReferenceChange
from catalogsync.diff.describe import diff


def show(change: Change | ReferenceChange) -> None:
    if isinstance(change, ReferenceChange):
        print("create or change", change.reference.kind, change.reference.name)
        return
    print(change.action, change.key, change.product.title)
    for item in () if isinstance(change, Create) else diff(change):
        print(f"    {item.path}: {item.old} -> {item.new}")


async def main() -> int:
    source_settings = DummyJSONSettings(
        url=environ.get("DUMMYJSON_URL", "https://dummyjson.com")
    )
    sink_settings = MedusaSettings(
        url=environ.get("MEDUSA_URL", "http://localhost:9000"),
        email=environ.get("MEDUSA_EMAIL"),
        password=environ.get("MEDUSA_PASSWORD"),
        api_key=environ.get("MEDUSA_API_KEY"),
    )
    async with source_settings.open() as source, sink_settings.open() as sink:
        for result in await sink.check():
            print("ok " if result.ok else "BAD", result.what, result.text)
        if "--write" in sys.argv[1:]:
            report = await sync(source, sink)
        else:
            report = await Sync(source, sink).plan(show)
    print(report)
    return 0 if report.status == "succeeded" else 1


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except CatalogSyncError as error:
        sys.exit(f"nothing was written: {error}")
