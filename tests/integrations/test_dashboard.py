"""The dashboard and the documentation name metrics that are there, and labels too."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("prometheus_client")

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.parser import text_string_to_metric_families
from tests.integrations.happenings import HAPPENINGS, STARTED, finished

from catalogsync import RunStatus
from catalogsync.integrations.prometheus import PrometheusHook

ROOT = Path(__file__).parents[2]
DASHBOARD: dict[str, Any] = json.loads(
    (ROOT / "integrations/grafana/catalogsync.json").read_text(encoding="utf-8")
)
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
PAGE = (ROOT / "docs/how-to/monitoring.md").read_text(encoding="utf-8")
ALERTS = re.findall(r"^ +expr: (.*)$", PAGE, re.MULTILINE)


def _exported() -> tuple[dict[str, set[str]], dict[str, tuple[str, set[str]]]]:
    """The labels of each sample, and type and labels of each metric."""
    hook = PrometheusHook()
    for event in (STARTED, *HAPPENINGS, finished(RunStatus.SUCCEEDED)):
        hook(event)
    samples: dict[str, set[str]] = {}
    metrics: dict[str, tuple[str, set[str]]] = {}
    for family in text_string_to_metric_families(hook.text().decode()):
        if family.name.endswith("_created"):
            continue
        for sample in family.samples:
            samples.setdefault(sample.name, set()).update(sample.labels)
        name = family.name + ("_total" if family.type == "counter" else "")
        metrics[name] = (family.type, {*family.samples[0].labels} - {"job_name", "le"})
    return samples, metrics


SAMPLES, METRICS = _exported()


def unknown(expression: str) -> set[str]:
    """Names and labels in an expression that nothing exports."""
    names = set(re.findall(r"\bcatalogsync_\w+", expression))
    labels = set(re.findall(r"(\w+)(?:=|!=|=~)\"", expression))
    for group in re.findall(r"\bby \(([^)]*)\)", expression):
        labels.update(re.split(r",\s*", group))
    known = {label for name in names for label in SAMPLES.get(name, ())}
    return (names - SAMPLES.keys()) | (labels - known)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_asks_for_what_is_exported(panel: dict[str, Any]) -> None:
    """By the data source that is chosen at the top."""
    assert panel["targets"]
    for target in panel["targets"]:
        assert "catalogsync_" in target["expr"]
        assert unknown(target["expr"]) == set()
        labels = re.findall(r"{{(\w+)}}", target["legendFormat"])
        assert all(re.search(rf"by \([^)]*\b{x}\b", target["expr"]) for x in labels)
        assert target["datasource"]["uid"] == "${datasource}"


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("rate(catalogsync_runs[1h])", {"catalogsync_runs"}),
        ('catalogsync_runs_total{state="failed"}', {"state"}),
        ("sum by (job) (catalogsync_retries_total)", {"job"}),
        ("catalogsync_batch_duration_seconds_bucket{le='1'}", set[str]()),
    ],
)
def test_what_is_not_exported_would_be_noticed(
    expression: str, wrong: set[str]
) -> None:
    assert unknown(expression) == wrong


@pytest.mark.parametrize("expression", ALERTS)
def test_an_alert_asks_for_what_is_exported(expression: str) -> None:
    assert "catalogsync_" in expression
    assert unknown(expression) == set()


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    """Of a known version; panels have ids of their own and lie beside each other."""
    assert DASHBOARD["schemaVersion"] == 39
    assert DASHBOARD["uid"]
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    places = [panel["gridPos"] for panel in PANELS]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = (
            one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        )
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    variables = DASHBOARD["templating"]["list"]
    assert [variable["name"] for variable in variables] == ["datasource", "job_name"]
    query = variables[1]["query"]["query"]
    found = re.fullmatch(r"label_values\((\w+), (\w+)\)", query)
    assert found
    assert found[2] in SAMPLES[found[1]]


def test_the_dashboard_is_all_read_by_the_models_of_grafana() -> None:
    """What they do not know, Grafana would drop."""
    plugins.register_default_plugins()
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(DASHBOARD)))
    assert read.keys() >= DASHBOARD.keys()
    for ours, theirs in zip(PANELS, read["panels"], strict=True):
        assert theirs.keys() >= ours.keys()
        for before, after in zip(ours["targets"], theirs["targets"], strict=True):
            assert after["expr"] == before["expr"]


def test_the_page_lists_every_metric_and_no_other() -> None:
    """With its type and labels."""
    rows = re.findall(
        r"^\| `(catalogsync_\w+)` \| (\w+) \| (.*?) ?\|", PAGE, re.MULTILINE
    )
    listed = {
        name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows
    }
    assert listed == METRICS
    assert len(rows) == len(listed)
    assert len(ALERTS) == 3
