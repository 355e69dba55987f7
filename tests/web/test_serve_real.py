"""`catalogsync serve` on a real Medusa, by the real clock."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import RealStore
from tests.web.served import Served, read_events, serving, skip_to, untimed
from tests.web.sites import OPERATE

from catalogsync.testing import serve_in_thread
from catalogsync.testing.catalog import generate_catalog
from catalogsync.testing.dummyjson import Records, dummyjson_app

pytestmark = pytest.mark.patient

PRODUCTS = 60
MINUTE = 60
CONFIGURATION = """
[jobs.products]
source = {{ type = "dummyjson", url = "{source}" }}
sink = {{ type = "medusa", url = "{url}", email = "{email}", password = "{password}" }}
options = {{ batch_size = 10, writers = 1, lease = 4, guard = {{ titles = "off", price_jumps = "off" }} }}
schedule = "* * * * *"

[serve]
port = 0
tokens.boss = {{ token = "${{SERVE_TOKEN}}", role = "operate" }}
"""


def ask(served: Served, path: str, body: bytes | None = None) -> Any:
    headers = {"Authorization": f"Bearer {OPERATE}", "Content-Type": "application/json"}
    request = urllib.request.Request(served.url + path, body, headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def stop_in_the_midst(served: Served) -> None:
    """Ask for a run, and send SIGTERM when its first batch is written."""
    with closing(read_events(served.url)) as events:
        ask(served, "/api/jobs/products/runs", b"{}")
        skip_to(events, b"BatchWritten")
        served.process.send_signal(signal.SIGTERM)


def titles(store: RealStore) -> dict[str, str]:
    """What the store holds, by the id at the source."""
    facts = store.facts
    login = json.dumps({"email": facts["email"], "password": facts["password"]})
    headers = {"Content-Type": "application/json"}
    url = f"{facts['url']}/auth/user/emailpass"
    with urllib.request.urlopen(
        urllib.request.Request(url, login.encode(), headers)
    ) as answer:
        token = json.load(answer)["token"]
    url = f"{facts['url']}/admin/products?limit=1000&fields=title,external_id"
    headers = {"Authorization": f"Bearer {token}"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        found = json.load(answer)["products"]
    assert len(found) == len({each["external_id"] for each in found})
    return {each["external_id"].rpartition(":")[2]: each["title"] for each in found}


def test_three_runs_by_itself_and_a_stop_in_the_midst(
    real_store: RealStore, tmp_path: Path
) -> None:
    """SIGTERM loses nothing, and after a new start history and next run are right."""
    real_store.do("empty")
    records = Records(generate_catalog(PRODUCTS, awkward=False))
    with serve_in_thread(lambda: dummyjson_app(records)) as source:
        text = CONFIGURATION.format(source=source, **real_store.facts)
        (tmp_path / "catalogsync.toml").write_text(text)
        with serving(tmp_path) as served:
            lines = [served.line()]
            records.by_id(7)["price"] = 7.77
            lines += [served.line(), served.line()]
            for number in range(1, PRODUCTS + 1):
                records.by_id(number)["title"] = f"Changed {number}"
            stop_in_the_midst(served)
            status, output, _ = served.end()
        with serving(tmp_path) as served:
            last = served.line()
            runs = ask(served, "/api/runs?job=products")["runs"]
            wait = ask(served, "/api/jobs/products")["next_at"] - time.time()

    assert f"{PRODUCTS} fetched = {PRODUCTS} created" in lines[0]
    assert f"= 1 updated + {PRODUCTS - 1} unchanged" in lines[1]
    assert f"= {PRODUCTS} unchanged" in lines[2]
    assert status == 0
    assert untimed(output).startswith("products: cancelled: ")
    assert last.startswith(f"products: succeeded: {PRODUCTS} fetched = ")
    assert titles(real_store) == {
        str(number): f"Changed {number}" for number in range(1, PRODUCTS + 1)
    }
    statuses = [run["status"] for run in runs]
    assert statuses[:5] == ["succeeded", "cancelled", *["succeeded"] * 3]
    third, second, first = (run["started_at"] // MINUTE for run in runs[2:5])
    assert (second, third) == (first + 1, first + 2)
    assert 0 < wait <= MINUTE
