"""The tables of a state store, and their migrations.

Never change a published migration. Add a new one at the end, and a file of the version
before it in `tests/state/versions`.
"""

from __future__ import annotations

from ._sql import Transaction
from .protocols import StateError

MIGRATIONS = (
    """
    CREATE TABLE catalogsync_counter (value BIGINT NOT NULL);

    INSERT INTO catalogsync_counter VALUES (0);

    CREATE TABLE catalogsync_run (
        number BIGINT NOT NULL,
        run_id {text} PRIMARY KEY,
        job {text} NOT NULL,
        source {text} NOT NULL,
        sink {text} NOT NULL,
        started_at DOUBLE PRECISION NOT NULL,
        partial BIGINT NOT NULL,
        finished_at DOUBLE PRECISION,
        status {text},
        report {text}
    );

    CREATE TABLE catalogsync_entry (
        number BIGINT PRIMARY KEY,
        run_id {text} NOT NULL,
        job {text} NOT NULL,
        source {text} NOT NULL,
        id {text} NOT NULL,
        noted_at DOUBLE PRECISION NOT NULL,
        status {text} NOT NULL,
        reason {text} NOT NULL,
        said {text} NOT NULL,
        fields {text} NOT NULL
    );

    CREATE INDEX catalogsync_entry_run ON catalogsync_entry (run_id);

    CREATE INDEX catalogsync_entry_key ON catalogsync_entry (job, source, id);

    CREATE TABLE catalogsync_failure (
        job {text} NOT NULL,
        source {text} NOT NULL,
        id {text} NOT NULL,
        reason {text} NOT NULL,
        said {text} NOT NULL,
        payload {text},
        attempts BIGINT NOT NULL,
        first_at DOUBLE PRECISION NOT NULL,
        last_at DOUBLE PRECISION NOT NULL,
        run_id {text} NOT NULL,
        PRIMARY KEY (job, source, id)
    );

    CREATE TABLE catalogsync_intent (
        place {text} NOT NULL,
        source {text} NOT NULL,
        id {text} NOT NULL,
        handle {text} NOT NULL,
        run_id {text} NOT NULL,
        began_at DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (place, source, id)
    );

    CREATE TABLE catalogsync_known (
        place {text} NOT NULL,
        source {text} NOT NULL,
        id {text} NOT NULL,
        PRIMARY KEY (place, source, id)
    );

    CREATE TABLE catalogsync_absence (
        job {text} NOT NULL,
        place {text} NOT NULL,
        source {text} NOT NULL,
        id {text} NOT NULL,
        first_run {text} NOT NULL,
        noted BIGINT NOT NULL,
        PRIMARY KEY (job, place, source, id)
    );

    CREATE TABLE catalogsync_lease (
        name {text} PRIMARY KEY,
        owner {text} NOT NULL,
        token BIGINT NOT NULL,
        ends_at DOUBLE PRECISION NOT NULL
    );

    CREATE TABLE catalogsync_trigger (
        number BIGINT PRIMARY KEY,
        job {text} NOT NULL,
        keys {text} NOT NULL,
        asked_at DOUBLE PRECISION NOT NULL,
        asked_by {text} NOT NULL
    )
    """,
    # The report without the lists that grow with the catalog, for lists of runs.
    "ALTER TABLE catalogsync_run ADD COLUMN summary {text}",
    # Ids of any length; a lease stores its duration; failures of runs without a job are
    # separated by the sink's endpoint.
    """
    ALTER TABLE catalogsync_lease ADD COLUMN ttl DOUBLE PRECISION NOT NULL DEFAULT 60;

    DROP INDEX catalogsync_entry_key;

    CREATE INDEX catalogsync_entry_key ON catalogsync_entry (job, source, {key});

    ALTER TABLE catalogsync_failure RENAME TO catalogsync_failure_2;

    CREATE TABLE catalogsync_failure (
        job {text} NOT NULL,
        place {text} NOT NULL DEFAULT '',
        source {text} NOT NULL,
        id {text} NOT NULL,
        reason {text} NOT NULL,
        said {text} NOT NULL,
        payload {text},
        attempts BIGINT NOT NULL,
        first_at DOUBLE PRECISION NOT NULL,
        last_at DOUBLE PRECISION NOT NULL,
        run_id {text} NOT NULL
    );

    INSERT INTO catalogsync_failure (job, source, id, reason, said, payload, attempts,
        first_at, last_at, run_id) SELECT job, source, id, reason, said, payload,
        attempts, first_at, last_at, run_id FROM catalogsync_failure_2;

    DROP TABLE catalogsync_failure_2;

    CREATE UNIQUE INDEX catalogsync_failure_key
        ON catalogsync_failure (job, place, source, {key});

    ALTER TABLE catalogsync_intent RENAME TO catalogsync_intent_2;

    CREATE TABLE catalogsync_intent (
        place {text} NOT NULL,
        source {text} NOT NULL,
        id {text} NOT NULL,
        handle {text} NOT NULL,
        run_id {text} NOT NULL,
        began_at DOUBLE PRECISION NOT NULL
    );

    INSERT INTO catalogsync_intent (place, source, id, handle, run_id, began_at)
        SELECT place, source, id, handle, run_id, began_at FROM catalogsync_intent_2;

    DROP TABLE catalogsync_intent_2;

    CREATE UNIQUE INDEX catalogsync_intent_key
        ON catalogsync_intent (place, source, {key});

    ALTER TABLE catalogsync_known RENAME TO catalogsync_known_2;

    CREATE TABLE catalogsync_known (
        place {text} NOT NULL,
        source {text} NOT NULL,
        id {text} NOT NULL
    );

    INSERT INTO catalogsync_known (place, source, id)
        SELECT place, source, id FROM catalogsync_known_2;

    DROP TABLE catalogsync_known_2;

    CREATE UNIQUE INDEX catalogsync_known_key
        ON catalogsync_known (place, source, {key});

    ALTER TABLE catalogsync_absence RENAME TO catalogsync_absence_2;

    CREATE TABLE catalogsync_absence (
        job {text} NOT NULL,
        place {text} NOT NULL,
        source {text} NOT NULL,
        id {text} NOT NULL,
        first_run {text} NOT NULL,
        noted BIGINT NOT NULL
    );

    INSERT INTO catalogsync_absence (job, place, source, id, first_run, noted)
        SELECT job, place, source, id, first_run, noted FROM catalogsync_absence_2;

    DROP TABLE catalogsync_absence_2;

    CREATE UNIQUE INDEX catalogsync_absence_key
        ON catalogsync_absence (job, place, source, {key})
    """,
    # Current names: endpoint, removed, unresolved.
    """
    ALTER TABLE catalogsync_failure RENAME COLUMN place TO endpoint;

    ALTER TABLE catalogsync_intent RENAME COLUMN place TO endpoint;

    ALTER TABLE catalogsync_known RENAME COLUMN place TO endpoint;

    ALTER TABLE catalogsync_absence RENAME COLUMN place TO endpoint;

    UPDATE catalogsync_entry SET status = 'removed' WHERE status = 'retired';

    UPDATE catalogsync_entry SET status = 'unresolved' WHERE status = 'unsettled';

    UPDATE catalogsync_run SET
        report = REPLACE(REPLACE(REPLACE(REPLACE(report, '"retired":', '"removed":'),
            '"unsettled"', '"unresolved"'), '"edits":', '"manual_edits":'),
            '"rehearsal":', '"planned":'),
        summary = REPLACE(REPLACE(REPLACE(summary, '"retired":', '"removed":'),
            '"unsettled"', '"unresolved"'), '"rehearsal":', '"planned":')
    """,
    # Both sides of products that need no change.
    """
    CREATE TABLE catalogsync_unchanged (
        endpoint {text} NOT NULL,
        source {text} NOT NULL,
        id {text} NOT NULL,
        record {text} NOT NULL,
        existing {text} NOT NULL,
        outline {text} NOT NULL,
        noted_at DOUBLE PRECISION NOT NULL
    );

    CREATE UNIQUE INDEX catalogsync_unchanged_key
        ON catalogsync_unchanged (endpoint, source, {key})
    """,
    # The outbox: products that may have been written, written ones, and messages.
    """
    CREATE TABLE catalogsync_unconfirmed (
        job {text} NOT NULL,
        endpoint {text} NOT NULL,
        source {text} NOT NULL,
        id {text} NOT NULL,
        status {text} NOT NULL,
        fields {text} NOT NULL,
        handle {text} NOT NULL,
        sink_id {text} NOT NULL
    );

    CREATE UNIQUE INDEX catalogsync_unconfirmed_key
        ON catalogsync_unconfirmed (job, endpoint, source, {key});

    CREATE TABLE catalogsync_written (
        number BIGINT PRIMARY KEY,
        job {text} NOT NULL,
        source {text} NOT NULL,
        id {text} NOT NULL,
        status {text} NOT NULL,
        fields {text} NOT NULL,
        handle {text} NOT NULL,
        sink_id {text} NOT NULL
    );

    CREATE TABLE catalogsync_message (
        number BIGINT PRIMARY KEY,
        id {text} NOT NULL,
        job {text} NOT NULL,
        receiver {text} NOT NULL,
        products {text} NOT NULL,
        size BIGINT NOT NULL,
        packed_at DOUBLE PRECISION NOT NULL,
        due_at DOUBLE PRECISION NOT NULL,
        attempts BIGINT NOT NULL,
        problem {text} NOT NULL,
        given_up BIGINT NOT NULL
    )
    """,
    # Plans that wait for a person, and their files in parts.
    """
    CREATE TABLE catalogsync_held (
        number BIGINT NOT NULL,
        run_id {text} PRIMARY KEY,
        job {text} NOT NULL,
        held_at DOUBLE PRECISION NOT NULL,
        held {text} NOT NULL,
        decision {text} NOT NULL,
        decided_by {text} NOT NULL,
        decided_at DOUBLE PRECISION
    );

    CREATE TABLE catalogsync_plan_part (
        run_id {text} NOT NULL,
        number BIGINT NOT NULL,
        data {text} NOT NULL,
        PRIMARY KEY (run_id, number)
    )
    """,
    # When the stock of products was counted.
    """
    CREATE TABLE catalogsync_snapshot (
        endpoint {text} NOT NULL,
        source {text} NOT NULL,
        id {text} NOT NULL,
        counted_at DOUBLE PRECISION NOT NULL
    );

    CREATE UNIQUE INDEX catalogsync_snapshot_key
        ON catalogsync_snapshot (endpoint, source, {key})
    """,
    # Uploaded images, by the digest of their address; `file`: it is the file's own.
    """
    CREATE TABLE catalogsync_image (
        endpoint {text} NOT NULL,
        address {text} NOT NULL,
        url {text} NOT NULL,
        file_id {text} NOT NULL,
        digest {text} NOT NULL,
        etag {text} NOT NULL,
        modified {text} NOT NULL,
        file BIGINT NOT NULL,
        noted_at DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (endpoint, address)
    );

    CREATE INDEX catalogsync_image_digest ON catalogsync_image (endpoint, digest)
    """,
)
"""SQL scripts for all databases; the one at index n migrates to version n + 1."""


async def migrate(sql: Transaction, version: int, where: str) -> bool:
    """Apply the next migration; the caller sets the version if there was one.

    Returns:
        Whether there was one: the store was older than this code.

    Raises:
        StateError: The store is newer than this code.
    """
    if version > len(MIGRATIONS):
        raise StateError(
            f"the state store {where} was written by a newer catalogsync (version"
            f" {version}, this one knows {len(MIGRATIONS)}): upgrade this one"
        )
    if version == len(MIGRATIONS):
        return False
    for statement in MIGRATIONS[version].split(";"):
        await sql(statement)
    return True
