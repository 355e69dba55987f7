"""The command `new-adapter`: a package with an adapter that passes its tests."""

from __future__ import annotations

import re
from pathlib import Path

import attrs

from catalogsync._lib.versions import installed_version
from catalogsync.errors import MisconfiguredError

_TEMPLATES = Path(__file__).parent / "new_adapter"
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


@attrs.frozen
class _Names:
    """What a new package calls things.

    Attributes:
        name: The name, such as `acme-shop`.
        kind: `source` or `sink`.
    """

    name: str
    kind: str

    @property
    def module(self) -> str:
        return self.name.replace("-", "_")

    def filled(self, text: str) -> str:
        """A template with these names."""
        words = self.module.split("_")
        names = {
            "CLASS": "".join(word.capitalize() for word in words),
            "MODULE": self.module,
            "TITLE": " ".join(word.capitalize() for word in words),
            "NAME": self.name,
            "KIND": self.kind,
            "VERSION": _compatible(installed_version("catalogsync")),
        }
        return re.sub("|".join(names), lambda found: names[found[0]], text)


def _compatible(version: str) -> str:
    """A version and those without changed names; before 1.0, a minor one has them."""
    major, minor = map(int, version.split(".")[:2])
    following = f"0.{minor + 1}" if major == 0 else f"{major + 1}"
    return f"{version},<{following}"


def new_adapter(name: str, kind: str, folder: Path) -> list[Path]:
    """Write the files of a new package.

    Args:
        name: Name of the adapter, such as `acme-shop`.
        kind: `source` or `sink`.
        folder: Where the folder of the package is created.

    Returns:
        The files.

    Raises:
        MisconfiguredError: The name is not valid, or the package's folder exists.
    """
    if not _NAME.fullmatch(name):
        problem = "must be lower-case letters and digits, with single hyphens between"
        raise MisconfiguredError("NAME", f"{problem}, is {name!r}")
    names, root = _Names(name, kind), folder / f"catalogsync-{name}"
    if root.exists():
        problem = f"{root} exists already; choose another name or --directory"
        raise MisconfiguredError("NAME", problem)
    files = {
        root / "pyproject.toml": _TEMPLATES / "pyproject.toml.txt",
        root / "README.md": _TEMPLATES / kind / "README.md.txt",
        root / "src" / f"catalogsync_{names.module}" / "__init__.py": (
            _TEMPLATES / kind / "adapter.py.txt"
        ),
        root / "tests" / f"test_{names.module}.py": _TEMPLATES / kind / "test.py.txt",
    }
    for file, template in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        text = names.filled(template.read_text(encoding="utf-8"))
        file.write_text(text, encoding="utf-8")
    return list(files)
