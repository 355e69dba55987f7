"""The OpenAPI description of the HTTP API."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import attrs

from catalogsync.report import Counts, RunStatus

__all__ = ["describe"]

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": "number"}
_MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
_ANY_TEXT_BUT_NUL = "^[^\\u0000]+$"
_KEY = "^([A-Za-z0-9._-]+:[^\\u0000]+)?$"
_CALL_ID = "^[!-\\-/-~]{1,256}$"
_MOMENT = "^[0-9]{1,12}$"
_SIGNATURES = "^v1,[A-Za-z0-9+/]{43}=( v1,[A-Za-z0-9+/]{43}=){0,9}$"
_REFUSALS = {
    400: "Invalid request.",
    401: "The token is missing or not valid.",
    403: "The role of the token does not allow this.",
    404: "Not found.",
    408: "Timed out while reading the body.",
    409: "Conflict with the current state.",
    413: "The body is too large.",
    415: "The body is not uncompressed JSON.",
    429: "Too many requests from this address.",
    503: "The state store or a side of the job is unavailable.",
}
_ALWAYS = (400, 401, 403, 429, 503)
_OF_BODIES = (408, 413, 415)


def _object(properties: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(schema: Schema) -> Schema:
    return {"oneOf": [schema, {"type": "null"}]}


_STATUS: Schema = {"enum": [*(status.value for status in RunStatus), None]}
_RUN: Schema = {
    "run_id": _TEXT,
    "job": _TEXT,
    "partial": {"type": "boolean"},
    "source": _TEXT,
    "sink": _TEXT,
    "status": _STATUS,
    "started_at": _NUMBER,
    "finished_at": _MAYBE_NUMBER,
    "duration_s": _MAYBE_NUMBER,
    "counts": _or_null(_ref("Counts")),
    "summary": _TEXT,
    "reasons": _list(_TEXT),
    "still_failing": {"type": ["integer", "null"]},
    "problem": _TEXT,
}
_SCHEMAS: Schema = {
    "Error": _object({"error": _TEXT}),
    "Status": _object({"status": _TEXT, "error": _TEXT}, optional=("error",)),
    "Counts": _object({field.name: _WHOLE for field in attrs.fields(Counts)}),
    "Run": _object(_RUN),
    "WholeRun": _object({**_RUN, "report": {"type": ["object", "null"]}}),
    "Running": _object(
        {
            "run_id": _TEXT,
            "started_at": _NUMBER,
            "counts": _ref("Counts"),
            "total": {"type": ["integer", "null"]},
            "retrying": _or_null(_ref("Retrying")),
        }
    ),
    "Job": _object(
        {
            "name": _TEXT,
            "source": _TEXT,
            "sink": _TEXT,
            "schedule": _or_null(_object({"cron": _TEXT, "timezone": _TEXT})),
            "next_at": _MAYBE_NUMBER,
            "running": _or_null(_ref("Running")),
            "last": _or_null(_ref("Run")),
            "problem": _TEXT,
            "waiting": _WHOLE,
            "failures": _WHOLE,
        }
    ),
    "FailedProduct": _object(
        {
            "key": _TEXT,
            "reason": _TEXT,
            "said": _TEXT,
            "attempts": _WHOLE,
            "first_at": _NUMBER,
            "last_at": _NUMBER,
            "run_id": _TEXT,
        }
    ),
    "Change": _object(
        {
            "action": _TEXT,
            "key": _TEXT,
            "title": _TEXT,
            "diff": _list(_object({"path": _TEXT, "old": {}, "new": {}})),
            "incomplete": _list(_TEXT),
            "adopts": {"type": "boolean"},
        }
    ),
    "Retrying": _object(
        {"what": _TEXT, "attempt": _WHOLE, "reason": _TEXT, "next_at": _NUMBER}
    ),
    "Plan": _object(
        {
            "plan_id": _TEXT,
            "state": {"enum": ["making", "ready", "failed"]},
            "began_at": _NUMBER,
            "read": _WHOLE,
            "total": {"type": ["integer", "null"]},
            "retrying": _or_null(_ref("Retrying")),
            "problem": _TEXT,
            "applied": {"type": "boolean"},
            "summary": _TEXT,
            "reasons": _list(_TEXT),
            "counts": _or_null(_ref("Counts")),
            "categories": {"type": ["object", "null"]},
            "estimate": {"type": ["object", "null"]},
            "offset": _WHOLE,
            "totals": {"type": "object"},
            "changes": _list(_ref("Change")),
            "failures": _list({"type": "object"}),
            "rejected": _list({"type": "object"}),
            "warnings": _list(_TEXT),
            "manual_edits": _list({"type": "object"}),
        }
    ),
    "PlanId": _object({"plan_id": _TEXT}),
    "Queue": _object(
        {
            "waiting": _list(
                _object(
                    {"id": _WHOLE, "at": _NUMBER, "by": _TEXT, "keys": _list(_TEXT)}
                )
            )
        }
    ),
    "Cleared": _object({"cleared": _WHOLE}),
    "Cancelled": _object({"waiting": _WHOLE}),
    "Figures": _object(
        {
            "run_id": _TEXT,
            "started_at": _NUMBER,
            "duration_s": _NUMBER,
            "status": _STATUS,
            "products_per_second": _NUMBER,
            "counts": _ref("Counts"),
            "requests": _WHOLE,
            "writes": _WHOLE,
            "retries": _WHOLE,
            "batch_sizes": {"type": "object"},
            "bytes_sent": _WHOLE,
            "bytes_received": _WHOLE,
            "phases": {"type": "object"},
            "latency": {"type": "object"},
        },
        optional=("batch_sizes", "bytes_sent", "bytes_received", "latency"),
    ),
    "Started": _object({"run_id": _TEXT}),
    "Nothing": _object({}),
    "Keys": _object(
        {
            "keys": {
                "description": "Keys as id or source:id; omit it for all products.",
                "type": "array",
                "minItems": 1,
                "items": {"type": "string", "pattern": _ANY_TEXT_BUT_NUL},
            }
        },
        optional=("keys",),
    ),
}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _refused(*statuses: int) -> Schema:
    return {
        str(status): {"description": _REFUSALS[status], "content": _json(_ref("Error"))}
        for status in sorted(statuses)
    }


def _get(
    summary: str, answer: Schema, *parameters: Schema, refusals: tuple[int, ...] = ()
) -> Schema:
    good = {"200": {"description": "OK", "content": answer}}
    return {
        "summary": summary,
        "parameters": list(parameters),
        "responses": {**good, **_refused(*_ALWAYS, *refusals)},
    }


def _post(
    summary: str,
    answer: str,
    body: str,
    *parameters: Schema,
    status: int = 202,
    refusals: tuple[int, ...] = (),
) -> Schema:
    good = {
        "description": "OK" if status == 200 else "Accepted",
        "content": _json(_ref(answer)),
    }
    refused = _refused(*_ALWAYS, *_OF_BODIES, *refusals)
    return {
        "summary": summary,
        "parameters": list(parameters),
        "requestBody": {
            "content": _json(_ref(body)),
            "required": bool(_SCHEMAS[body]["required"]),
        },
        "responses": {str(status): good, **refused},
    }


def _in_path(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(name: str, schema: Schema, text: str) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": text}


def _header(name: str, pattern: str, text: str) -> Schema:
    return {
        "name": name,
        "in": "header",
        "required": True,
        "schema": {"type": "string", "pattern": pattern},
        "description": text,
    }


def _probe(summary: str) -> Schema:
    answer = {"description": "Healthy", "content": _json(_ref("Status"))}
    no = {"description": "Unavailable", "content": _json(_ref("Status"))}
    return {
        "summary": summary,
        "security": [],
        "responses": {"200": answer, "503": no, **_refused(429)},
    }


def _webhook(job: Schema) -> Schema:
    headers = (
        _header("webhook-id", _CALL_ID, "Id of the call; repeat it to call again."),
        _header("webhook-timestamp", _MOMENT, "Seconds since the epoch."),
        _header(
            "webhook-signature",
            _SIGNATURES,
            "Signatures as in Standard Webhooks, separated by spaces.",
        ),
    )
    summary = "Sync products that changed at the source; without keys, all products"
    post = _post(summary, "Started", "Keys", job, *headers)
    return {**post, "security": []}


def _paths(jobs: Sequence[str], most: int) -> Schema:
    job = _in_path("job", {"type": "string", "enum": list(jobs)})
    run = _in_path("run_id", {"type": "string", "minLength": 1})

    def up_to(name: str, default: int) -> Schema:
        limits = {"minimum": 1, "maximum": most, "default": default}
        return _in_query(
            name, {"type": "integer", **limits}, "Largest number of items."
        )

    offset = _in_query(
        "offset",
        {"type": "integer", "minimum": 0, "maximum": 999_999_999, "default": 0},
        "Number of items to skip.",
    )
    of_job = _in_query("job", _TEXT, "Only this job.")
    key: Schema = {"type": "string", "pattern": _KEY}
    after = _in_query("after", key, "Start after this key, given as source:id.")
    all_jobs = _json(_object({"jobs": _list(_ref("Job"))}))
    runs = _json(_object({"runs": _list(_ref("Run"))}))
    figures = _json(_object({"runs": _list(_ref("Figures"))}))
    failures = _json(
        _object({"failures": _list(_ref("FailedProduct")), "total": _WHOLE})
    )
    events = {"text/event-stream": {"schema": _TEXT}}
    whole = _json(_ref("WholeRun"))
    missing = (404,)
    return {
        "/health": {"get": _probe("Whether the process is alive")},
        "/ready": {
            "get": _probe(
                "Whether the service accepts work and the state store responds"
            )
        },
        "/metrics": {
            "get": _get(
                "Metrics for Prometheus",
                {"text/plain": {"schema": _TEXT}},
                refusals=missing,
            )
        },
        "/api/openapi.json": {
            "get": _get("This description", _json({"type": "object"}))
        },
        "/api/jobs": {"get": _get("All jobs", all_jobs)},
        "/api/jobs/{job}": {
            "get": _get("A job", _json(_ref("Job")), job, refusals=missing)
        },
        "/api/jobs/{job}/runs": {
            "post": _post("Start a run", "Started", "Keys", job, refusals=missing)
        },
        "/api/jobs/{job}/plan": {
            "post": _post(
                "Start to plan what a run would do",
                "PlanId",
                "Nothing",
                job,
                refusals=(404, 409),
            ),
            "get": _get(
                "The latest plan, or its progress; offset and limit apply to each of"
                " its lists",
                _json(_ref("Plan")),
                job,
                up_to("limit", 100),
                offset,
                refusals=missing,
            ),
        },
        "/api/jobs/{job}/plan/apply": {
            "post": _post(
                "Make exactly the changes of the plan",
                "Started",
                "PlanId",
                job,
                refusals=(404, 409),
            )
        },
        "/api/jobs/{job}/queue": {
            "get": _get(
                "Queued triggers",
                _json(_ref("Queue")),
                job,
                refusals=missing,
            )
        },
        "/api/jobs/{job}/queue/clear": {
            "post": _post(
                "Clear the queue",
                "Cleared",
                "Nothing",
                job,
                status=200,
                refusals=missing,
            )
        },
        "/api/jobs/{job}/failures": {
            "get": _get(
                "Products that failed and have not succeeded since",
                failures,
                job,
                up_to("limit", 100),
                after,
                refusals=missing,
            )
        },
        "/api/jobs/{job}/retry": {
            "post": _post(
                "Start a run over failed products",
                "Started",
                "Keys",
                job,
                refusals=(404, 409),
            )
        },
        "/api/jobs/{job}/stats": {
            "get": _get(
                "Statistics of the latest runs",
                figures,
                job,
                up_to("runs", 50),
                refusals=missing,
            )
        },
        "/api/runs": {"get": _get("The latest runs", runs, of_job, up_to("limit", 20))},
        "/api/runs/{run_id}": {
            "get": _get("A run with its report", whole, run, refusals=missing)
        },
        "/api/runs/{run_id}/cancel": {
            "post": _post(
                "Stop a run gracefully; returns the number of queued triggers, for"
                " which the next run starts immediately",
                "Cancelled",
                "Nothing",
                run,
                refusals=missing,
            )
        },
        "/api/events": {
            "get": _get(
                "Events of runs, as server-sent events",
                events,
                of_job,
                refusals=missing,
            )
        },
        "/webhooks/{job}": {"post": _webhook(job)},
    }


def describe(prefix: str, *, jobs: Sequence[str], most: int) -> Schema:
    """The description as OpenAPI 3.1.

    Args:
        prefix: Path at which the application is mounted.
        jobs: Names of all jobs.
        most: Largest number of items in one response.
    """
    return {
        "openapi": "3.1.0",
        "info": {"title": "catalogsync", "version": version("catalogsync")},
        "servers": [{"url": prefix or "/"}],
        "security": [{"bearer": []}],
        "paths": _paths(jobs, most),
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }
