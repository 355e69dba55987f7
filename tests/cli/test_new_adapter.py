"""A package that `new-adapter` writes passes its tests, and lint, at once."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from catalogsync.cli._commands import cli

ROOT = Path(__file__).parents[2]


def call(*args: str) -> Result:
    return CliRunner().invoke(cli, args)


def python(*args: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *args],
        cwd=folder,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["source", "sink"])
def test_its_tests_pass(tmp_path: Path, kind: str) -> None:
    result = call(
        "new-adapter", "acme-4u", "--kind", kind, "--directory", f"{tmp_path}"
    )
    assert result.exit_code == 0, result.output
    root = tmp_path / "catalogsync-acme-4u"
    *files, following = result.stdout.splitlines()
    written = {path for path in root.rglob("*") if path.is_file()}
    assert {Path(file) for file in files} == written
    assert following == f"next: cd {root} && pytest -rs"
    for file in written:
        left = re.search(
            "NAME|MODULE|CLASS|TITLE|KIND|VERSION", file.read_text(encoding="utf-8")
        )
        assert not left, f"{file}: {left}"

    plain = ("-W", "error", *(f"-pno:{each}" for each in ("asyncio", "schemathesis")))
    shown = python("-m", "pytest", "-q", "-rs", *plain, folder=root)
    assert re.search(r"\n\d{2} passed, \d+ skipped", shown), shown
    assert "not applicable: " in shown
    assert "no `faults`" not in shown

    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["project"]["entry-points"]
    assert groups == {
        f"catalogsync.{kind}s": {"acme_4u": "catalogsync_acme_4u:Acme4uSettings"}
    }
    assert project["project"]["dependencies"] == ["catalogsync>=0.1.0,<0.2"]
    load = "import catalogsync_acme_4u as m; print(m.Acme4uSettings.__doc__)"
    assert f"Acme 4u as a {kind}." in python("-c", load, folder=root / "src")


LOAD = """
import sys
sys.path[:0] = ["src", "installed"]
from catalogsync import load_config
print(load_config("catalogsync.toml", environ={"TOKEN": "t"}).job("acme").name)
"""


@pytest.mark.parametrize("kind", ["source", "sink"])
def test_the_job_in_its_readme_loads(tmp_path: Path, kind: str) -> None:
    call("new-adapter", "acme", "--kind", kind, "--directory", f"{tmp_path}")
    root = tmp_path / "catalogsync-acme"
    job = (root / "README.md").read_text("utf-8").split("```toml\n")[1].split("```")[0]
    (root / "catalogsync.toml").write_text(job, encoding="utf-8")
    info = root / "installed" / "catalogsync_acme-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: catalogsync-acme\nVersion: 0.1.0\n")
    points = f"[catalogsync.{kind}s]\nacme = catalogsync_acme:AcmeSettings\n"
    (info / "entry_points.txt").write_text(points)
    assert python("-c", LOAD, folder=root) == "acme\n"


@pytest.mark.skipif(not find_spec("mypy"), reason="mypy is not installed")
@pytest.mark.skipif(not find_spec("ruff"), reason="ruff is not installed")
@pytest.mark.parametrize("kind", ["source", "sink"])
def test_it_is_tidy(tmp_path: Path, kind: str) -> None:
    call("new-adapter", "acme", "--kind", kind, "--directory", f"{tmp_path}")
    root = tmp_path / "catalogsync-acme"
    strict = ("--strict", "--cache-dir", f"{tmp_path}", "catalogsync_acme")
    python("-m", "mypy", *strict, folder=root / "src")
    ignored = "--ignore=D,PLR0913,INP001,S101,PLR2004,I001"
    config = f"--config={ROOT / 'pyproject.toml'}"
    python("-m", "ruff", "check", config, ignored, ".", folder=root)


@pytest.mark.parametrize("name", ["Acme", "4u", "a b", "a--b", "-a", "../a", "a.b", ""])
def test_a_name_that_is_not_valid(tmp_path: Path, name: str) -> None:
    result = call("new-adapter", "--directory", f"{tmp_path}", "--", name)
    assert result.exit_code == 2
    assert "NAME: must be lower-case letters and digits" in result.stderr
    assert not [*tmp_path.iterdir()]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    for status in (0, 2):
        result = call("new-adapter", "acme", "--directory", f"{tmp_path}")
        assert result.exit_code == status
    assert "exists already; choose another name or --directory" in result.stderr
