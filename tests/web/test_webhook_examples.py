"""The examples of the documentation, each in its own language, make right calls."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.real import real_is_desired
from tests.web.served import configure, serving
from tests.web.sites import SECRET

from catalogsync.testing import dummyjson_app, serve_in_thread
from catalogsync.testing.catalog import generate_catalog

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "webhooks.md"
PROGRAMS = {
    "py": (sys.executable, "call.py"),
    "js": ("node", "call.mjs"),
    "bash": ("bash", "call.sh"),
}


def desired() -> list[str]:
    """Those whose programs are here; all of them where all parts are demanded."""
    demanded = os.environ.get("CATALOGSYNC_REAL") == "1"
    tools = {"py": True, "js": real_is_desired(), "bash": bool(shutil.which("openssl"))}
    return [name for name, is_here in tools.items() if is_here or demanded]


@pytest.mark.parametrize("language", desired())
def test_an_example(tmp_path: Path, language: str) -> None:
    """Unchanged, with the secret and the address in the environment."""
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    program, name = PROGRAMS[language]
    (tmp_path / name).write_text(text)
    records = generate_catalog(12, 2, awkward=False)
    with serve_in_thread(lambda: dummyjson_app(records)) as source:
        configure(tmp_path, source)
        with serving(tmp_path) as served:
            result = subprocess.run(
                [program, name],
                cwd=tmp_path,
                env={**os.environ, "WEBHOOK_SECRET": SECRET, "SYNC_URL": served.url},
                check=True,
                capture_output=True,
                text=True,
            )
            assert re.search(r"\b[0-9a-f]{32}\b", result.stdout)
            line = served.line()
            assert line.startswith("products: succeeded: 2 fetched = 2 created")
