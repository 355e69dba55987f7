"""Test servers for both sides, and faults to make them fail.

For tests of adapters and of programs that use catalogsync: real HTTP servers on
a local port (:func:`serve`, :func:`dummyjson_server`, :func:`fake_api`,
:func:`fake_medusa`), planned faults (:class:`FaultPlan`) and catalogs of any size
(:func:`generate_catalog`). Only the command ``catalogsync demo`` uses them otherwise.
:mod:`catalogsync.testing.conformance` checks the promises of an adapter.

Provisional: names and behaviour may change in any release.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .api import APICredentials, APIStyle, FakeAPI, fake_api
    from .catalog import catalog_categories, generate_catalog, iter_catalog
    from .dummyjson import DummyJSONServer, dummyjson_app, dummyjson_server
    from .faults import Fault, FaultPlan
    from .medusa import FakeMedusa, fake_medusa, medusa_app
    from .servers import serve, serve_in_thread

__all__ = [
    "APICredentials",
    "APIStyle",
    "DummyJSONServer",
    "FakeAPI",
    "FakeMedusa",
    "Fault",
    "FaultPlan",
    "catalog_categories",
    "dummyjson_app",
    "dummyjson_server",
    "fake_api",
    "fake_medusa",
    "generate_catalog",
    "iter_catalog",
    "medusa_app",
    "serve",
    "serve_in_thread",
]

_HOMES = {
    "APICredentials": "api",
    "APIStyle": "api",
    "DummyJSONServer": "dummyjson",
    "FakeAPI": "api",
    "FakeMedusa": "medusa",
    "Fault": "faults",
    "FaultPlan": "faults",
    "catalog_categories": "catalog",
    "dummyjson_app": "dummyjson",
    "dummyjson_server": "dummyjson",
    "fake_api": "api",
    "fake_medusa": "medusa",
    "medusa_app": "medusa",
    "generate_catalog": "catalog",
    "iter_catalog": "catalog",
    "serve": "servers",
    "serve_in_thread": "servers",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
