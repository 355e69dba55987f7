"""What cannot run here is valid by the checks of those who made it."""

from __future__ import annotations

import asyncio

import pytest
from tests.schedulers.hosts import BIN, Shop, installed

SYSTEMD = ["systemd-analyze", "verify", "--man=no"]
KUBERNETES = [f"{BIN}/kubernetes-validate", "--strict", "--quiet"]
WORKFLOW = [f"{BIN}/check-jsonschema", "--quiet", "--builtin-schema"]


@pytest.mark.parametrize("valid", [True, False], ids=["as it is", "spoilt"])
@pytest.mark.parametrize(
    ("check", "name", "spoil"),
    [
        (SYSTEMD, "catalogsync.service", "Restart=on-failure"),
        (SYSTEMD, "catalogsync.timer", "OnCalendar=*-*-* 03:00"),
        (KUBERNETES, "kubernetes-cronjob.yaml", "backoffLimit: 2"),
        (KUBERNETES, "kubernetes-cronjob.yaml", "terminationGracePeriodSeconds"),
        ([*WORKFLOW, "vendor.github-workflows"], "github-actions.yml", "runs-on"),
        (
            [*WORKFLOW, "custom.github-workflows-require-timeout"],
            "github-actions.yml",
            "timeout-minutes",
        ),
    ],
)
async def test_validated(
    shop: Shop, check: list[str], name: str, spoil: str, valid: bool
) -> None:
    """Nothing is found, unless there is something."""
    installed(shop, "catalogsync.service")
    file = shop.folder / "installed" / name
    text = (file if file.exists() else shop.folder / name).read_text()
    assert spoil in text
    file.write_text(text if valid else text.replace(spoil, f"{spoil}x"))

    process = await asyncio.create_subprocess_exec(
        *check,
        file,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()

    assert (output == b"" and process.returncode == 0) is valid, output.decode()
