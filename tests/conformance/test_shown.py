"""What pytest shows of the kit: a case for each promise, and what is broken."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from catalogsync.testing.conformance import SINK_SUITE

TESTS = '''
from catalogsync import MemorySink
from catalogsync.testing.conformance import sink_promises

class Forgets(MemorySink):
    """It keeps no last-applied state."""

    async def find(self, desired, /, *, fields):
        self.last_applied.clear()
        return await super().find(desired, fields=fields)

    async def owned(self, source, /):
        raise KeyError("no such column")
        yield

@sink_promises
async def test_shelf(tmp_path):
    assert tmp_path.is_dir()
    yield Forgets()
'''


def test_shown(tmp_path: Path) -> None:
    (tmp_path / "test_shelf.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-v", "-rs", "--tb=short"]
    plain = [f"-pno:{each}" for each in ("asyncio", "schemathesis")]
    done = subprocess.run(
        [*command, *plain],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    shown = done.stdout
    ends = dict(
        re.findall(r"^test_shelf.py::test_shelf\[(\S+)\] (\w+)", shown, re.MULTILINE)
    )
    assert ends.keys() == {promise.name for promise in SINK_SUITE.promises}, shown
    assert ends["finds-nothing-first"] == "PASSED"
    assert ends["shape-is-stable"] == "SKIPPED"
    assert "not applicable: it has no `shape`" in shown
    message = (
        r"broken promise: keeps-last-applied\n"
        r"  The last-applied state comes back .*\n"
        r"seen: the last-applied state: None, instead of .*\n"
        r"mend: Store `change\.last_applied` .*\n"
        r"docs: docs/reference/adapters\.md#keeps-last-applied\n"
    )
    assert re.search(message, shown), shown
    part = shown.split("test_shelf[keeps-last-applied] _")[1].split("\n____")[0]
    assert "_promise.py" not in part  # no traceback of the kit
    # A defect shows where it is in the adapter.
    assert "broken promise: owned-lists-all" in shown
    assert re.search(r"test_shelf\.py:\d+: in owned", shown)
