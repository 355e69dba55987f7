"""Fixtures of the tests of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from catalogsync import MisconfiguredError
from catalogsync.config import Config, load_config

from .stand_ins import ADAPTERS

Load = Callable[..., Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a configuration that is given as text."""

    def load(
        text: str, environ: Mapping[str, str] | None = None, only: str | None = None
    ) -> Config:
        file = tmp_path / "catalogsync.toml"
        file.write_text(text, encoding="utf-8")
        return load_config(file, environ=environ or {}, adapters=ADAPTERS, only=only)

    return load


@pytest.fixture
def refuse(load: Load) -> Callable[..., list[str]]:
    """Load a configuration that is wrong; gives the lines of the message."""

    def refuse(*args: object, **kwargs: object) -> list[str]:
        with pytest.raises(MisconfiguredError) as caught:
            load(*args, **kwargs)
        assert caught.value.__cause__ is None
        return str(caught.value).splitlines()

    return refuse
