"""The fast tests on every supported Python that this machine has.

    python -m tests.pythons [--others] [--demand] [pytest's arguments]

The classifiers in pyproject.toml say which are supported. Each has a virtual
environment of its own in `.pythons`, with no more than these tests need.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".pythons"
_CLAIM = "Programming Language :: Python :: 3."
_NEEDED_BY = (ROOT / "pyproject.toml", ROOT / "constraints.txt")
# What needs Node, a browser, schedulers, or tools that are of no version's concern.
_LEFT_OUT = (
    *("tests/browser", "tests/examples", "tests/schedulers"),
    *("tests/integrations/test_dashboard.py", "tests/web/test_openapi.py"),
)


def supported() -> list[str]:
    """The versions that the package claims, such as `3.12`."""
    project = tomllib.loads(_NEEDED_BY[0].read_text(encoding="utf-8"))["project"]
    claims = (c for c in project["classifiers"] if c.startswith(_CLAIM))
    return [claim.rpartition(" ")[2] for claim in claims]


def candidates(version: str) -> Iterator[Path]:
    """Where an interpreter of a version may be: in the path, or pyenv's."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield Path(folder, f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True)


def found(version: str) -> Path | None:
    """An interpreter of a version that really starts; a shim of pyenv's may not."""
    program = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    for path in candidates(version):
        if not path.is_file():
            continue
        command = [f"{path}", "-c", program]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode == 0 and result.stdout.strip() == version:
            return path
    return None


def made(version: str, interpreter: Path) -> Path:
    """The Python of an environment with what the tests need."""
    python, stamp = HOME / version / "bin" / "python", HOME / version / ".installed"
    newest = max(file.stat().st_mtime for file in _NEEDED_BY)
    if stamp.exists() and stamp.stat().st_mtime >= newest:
        return python
    subprocess.run([interpreter, "-m", "venv", "--clear", HOME / version], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--upgrade", "pip>=25.1"], check=True)
    needs = ["--constraint", "constraints.txt", "--editable", ".[all]"]
    subprocess.run([*pip, *needs, "--group", "fast-tests"], check=True, cwd=ROOT)
    stamp.touch()
    return python


def passes(python: Path, arguments: list[str]) -> bool:
    """Whether the tests do."""
    left_out = [f"--ignore={path}" for path in _LEFT_OUT]
    command = [python, "-m", "pytest", "-q", "-n", "2", *left_out, *arguments]
    environ = {**os.environ, "CATALOGSYNC_REAL": "0"}
    return subprocess.run(command, check=False, cwd=ROOT, env=environ).returncode == 0


def main() -> int:
    """Run them; 1 if tests fail, or a version is demanded and missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--others", action="store_true", help="not the one it runs in")
    parser.add_argument("--demand", action="store_true", help="none may be missing")
    options, arguments = parser.parse_known_args()
    mine = ".".join(map(str, sys.version_info[:2]))
    bad = False
    for version in supported():
        if options.others and version == mine:
            continue
        interpreter = found(version)
        if interpreter is None:
            print(f"== Python {version}: not installed", flush=True)  # noqa: T201
            bad |= options.demand
            continue
        began = time.monotonic()
        print(f"== Python {version}: {interpreter}", flush=True)  # noqa: T201
        bad |= not passes(made(version, interpreter), arguments or ["tests"])
        seconds = time.monotonic() - began
        print(f"== Python {version}: {seconds:.0f} s", flush=True)  # noqa: T201
    return int(bad)


if __name__ == "__main__":
    raise SystemExit(main())
