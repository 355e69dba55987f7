"""Logs as JSON, one object for each record."""

from __future__ import annotations

import datetime as dt
import json
import logging
from typing import Any

from catalogsync.catalog.convert import as_json
from catalogsync.events import Event
from catalogsync.report import summary_of

__all__ = ["JsonFormatter"]


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON.

    ```python
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.getLogger("catalogsync").addHandler(handler)
    ```

    Every object has `time` (ISO 8601 in UTC), `level`, `logger` and `message`, and
    `exception` if there is one. The object of an event has its name as `event`, and
    its attributes. Reports are written without the lists that grow with the catalog.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON, without line breaks."""
        tree: dict[str, Any] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        event = getattr(record, "event", None)
        if isinstance(event, Event):
            tree["event"] = type(event).__name__
            tree |= as_json(event)
            if tree.get("report") is not None:
                tree["report"] = summary_of(tree["report"])
        if record.exc_info:
            tree["exception"] = self.formatException(record.exc_info)
        return json.dumps(tree, default=str)
