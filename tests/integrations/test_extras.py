from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from catalogsync.errors import MissingExtraError
from catalogsync.integrations.opentelemetry import OpenTelemetryHook
from catalogsync.integrations.prometheus import PrometheusHook


@pytest.mark.parametrize(
    ("make", "module", "extra"),
    [
        (PrometheusHook, "prometheus_client", "prometheus"),
        (OpenTelemetryHook, "opentelemetry", "otel"),
    ],
)
def test_an_extra_that_is_missing_is_named(
    make: Callable[[], object],
    module: str,
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"catalogsync\[{extra}\]"):
        make()
