"""catalogsync in a program without an event loop: a script, a WSGI host, a notebook.

Run it with `python examples/blocking.py [URL]`, where URL is a DummyJSON server;
without a URL it starts one. Needs the extra `sql`.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack

from catalogsync import CatalogSyncError, run_blocking
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.adapters.sql import SQLSettings
from catalogsync.testing import dummyjson_app, generate_catalog, serve_in_thread


def main() -> int:
    with ExitStack() as stack:
        if sys.argv[1:]:
            source = DummyJSONSettings(url=sys.argv[1])
        else:
            server = serve_in_thread(lambda: dummyjson_app(generate_catalog()))
            url = stack.enter_context(server)
            source = DummyJSONSettings(url=url, max_requests=0)
        try:
            report = run_blocking(source, SQLSettings(url="sqlite://"))
        except CatalogSyncError as error:
            print(f"nothing was written: {error}", file=sys.stderr)
            return 2
    print(report)
    return 0 if report.status == "succeeded" else 1


if __name__ == "__main__":
    sys.exit(main())
