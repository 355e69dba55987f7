-- A state store as version 5 of the schema keeps it.
CREATE TABLE catalogsync_absence (
  job TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  first_run TEXT NOT NULL,
  noted BIGINT NOT NULL
);
INSERT INTO catalogsync_absence VALUES('nightly','shop','pim','b','r1',5);
CREATE TABLE catalogsync_counter (value BIGINT NOT NULL);
INSERT INTO catalogsync_counter VALUES(8);
CREATE TABLE catalogsync_entry (
  number BIGINT PRIMARY KEY,
  run_id TEXT NOT NULL,
  job TEXT NOT NULL,
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  noted_at DOUBLE PRECISION NOT NULL,
  status TEXT NOT NULL,
  reason TEXT NOT NULL,
  said TEXT NOT NULL,
  fields TEXT NOT NULL
);
INSERT INTO catalogsync_entry VALUES(3,'r1','nightly','pim','a',1001.25,'updated','','','["title", "variants.1.sku"]');
INSERT INTO catalogsync_entry VALUES(4,'r1','nightly','pim','b',1001.5,'failed','no price','\HTTP 400\x00','[]');
INSERT INTO catalogsync_entry VALUES(1,'r1','nightly','pim','c',1000.75,'removed','','','[]');
INSERT INTO catalogsync_entry VALUES(2,'r1','nightly','pim','c',1001.0,'unresolved','no answer','','[]');
CREATE TABLE catalogsync_failure (
  job TEXT NOT NULL,
  endpoint TEXT NOT NULL DEFAULT '',
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  reason TEXT NOT NULL,
  said TEXT NOT NULL,
  payload TEXT,
  attempts BIGINT NOT NULL,
  first_at DOUBLE PRECISION NOT NULL,
  last_at DOUBLE PRECISION NOT NULL,
  run_id TEXT NOT NULL
);
INSERT INTO catalogsync_failure VALUES('nightly','','pim','b','no price','\HTTP 400\x00','{"title": "Boot"}',2,900.0,1001.5,'r1');
CREATE TABLE catalogsync_intent (
  endpoint TEXT NOT NULL,
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  handle TEXT NOT NULL,
  run_id TEXT NOT NULL,
  began_at DOUBLE PRECISION NOT NULL
);
INSERT INTO catalogsync_intent VALUES('shop','pim','a','shoe','r2',1795519134.5);
CREATE TABLE catalogsync_known (
  endpoint TEXT NOT NULL,
  source TEXT NOT NULL,
  id TEXT NOT NULL
);
INSERT INTO catalogsync_known VALUES('shop','pim','a');
CREATE TABLE catalogsync_lease (
  name TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  token BIGINT NOT NULL,
  ends_at DOUBLE PRECISION NOT NULL,
  ttl DOUBLE PRECISION NOT NULL DEFAULT 60
);
INSERT INTO catalogsync_lease VALUES('shop <- pim','job nightly',6,9999999999.0,60);
CREATE TABLE catalogsync_run (
  number BIGINT NOT NULL,
  run_id TEXT PRIMARY KEY,
  job TEXT NOT NULL,
  source TEXT NOT NULL,
  sink TEXT NOT NULL,
  started_at DOUBLE PRECISION NOT NULL,
  partial BIGINT NOT NULL,
  finished_at DOUBLE PRECISION,
  status TEXT,
  report TEXT,
  summary TEXT
);
INSERT INTO catalogsync_run VALUES(1,'r1','nightly','pim','shop',1000.5,1,1003.0,'degraded','{"run_id": "r1", "problem": "F\u00fc\u00dfe", "counts": {"removed": 3, "unresolved": 1}, "failures": []}','{"run_id": "r1", "problem": "F\u00fc\u00dfe", "counts": {"removed": 3, "unresolved": 1}}');
INSERT INTO catalogsync_run VALUES(2,'r2','nightly','pim','shop',2000.0,0,NULL,NULL,NULL,NULL);
CREATE TABLE catalogsync_trigger (
  number BIGINT PRIMARY KEY,
  job TEXT NOT NULL,
  keys TEXT NOT NULL,
  asked_at DOUBLE PRECISION NOT NULL,
  asked_by TEXT NOT NULL
);
INSERT INTO catalogsync_trigger VALUES(7,'nightly','[["pim", "a"], ["pim", "b"]]',1795519134.5,'a webhook');
INSERT INTO catalogsync_trigger VALUES(8,'nightly','[]',1795519134.5,'');
CREATE TABLE catalogsync_unchanged (
  endpoint TEXT NOT NULL,
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  record TEXT NOT NULL,
  existing TEXT NOT NULL,
  outline TEXT NOT NULL,
  noted_at DOUBLE PRECISION NOT NULL
);
INSERT INTO catalogsync_unchanged VALUES('shop','pim','a','1f','2e','{"fields": ["tags", "title"], "categories": [[["pots", "Pots"], ["pans", "Pans"]]], "tags": ["new"]}',1795519134.5);
CREATE TABLE catalogsync_unconfirmed (
  job TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  status TEXT NOT NULL,
  fields TEXT NOT NULL,
  handle TEXT NOT NULL,
  sink_id TEXT NOT NULL
);
INSERT INTO catalogsync_unconfirmed VALUES('nightly','shop','pim','a','updated','["title"]','shoe','prod_1');
CREATE TABLE catalogsync_written (
  number BIGINT PRIMARY KEY,
  job TEXT NOT NULL,
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  status TEXT NOT NULL,
  fields TEXT NOT NULL,
  handle TEXT NOT NULL,
  sink_id TEXT NOT NULL
);
INSERT INTO catalogsync_written VALUES(5,'nightly','pim','b','created','[]','boot','');
CREATE TABLE catalogsync_message (
  number BIGINT PRIMARY KEY,
  id TEXT NOT NULL,
  job TEXT NOT NULL,
  receiver TEXT NOT NULL,
  products TEXT NOT NULL,
  size BIGINT NOT NULL,
  packed_at DOUBLE PRECISION NOT NULL,
  due_at DOUBLE PRECISION NOT NULL,
  attempts BIGINT NOT NULL,
  problem TEXT NOT NULL,
  given_up BIGINT NOT NULL
);
INSERT INTO catalogsync_message VALUES(6,'msg_1','nightly','storefront','[["pim", "c", "removed", [], "", "prod_3"]]',1,1001.0,1001.0,2,'HTTP 500',0);
CREATE INDEX catalogsync_entry_run ON catalogsync_entry (run_id);
CREATE INDEX catalogsync_entry_key ON catalogsync_entry (job, source, {key});
CREATE UNIQUE INDEX catalogsync_absence_key ON catalogsync_absence (job, endpoint, source, {key});
CREATE UNIQUE INDEX catalogsync_failure_key ON catalogsync_failure (job, endpoint, source, {key});
CREATE UNIQUE INDEX catalogsync_intent_key ON catalogsync_intent (endpoint, source, {key});
CREATE UNIQUE INDEX catalogsync_known_key ON catalogsync_known (endpoint, source, {key});
CREATE UNIQUE INDEX catalogsync_unchanged_key ON catalogsync_unchanged (endpoint, source, {key});
CREATE UNIQUE INDEX catalogsync_unconfirmed_key ON catalogsync_unconfirmed (job, endpoint, source, {key});
CREATE TABLE catalogsync_held (
  number BIGINT NOT NULL,
  run_id TEXT PRIMARY KEY,
  job TEXT NOT NULL,
  held_at DOUBLE PRECISION NOT NULL,
  held TEXT NOT NULL,
  decision TEXT NOT NULL,
  decided_by TEXT NOT NULL,
  decided_at DOUBLE PRECISION
);
CREATE TABLE catalogsync_plan_part (
  run_id TEXT NOT NULL,
  number BIGINT NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (run_id, number)
);
CREATE TABLE catalogsync_snapshot (
  endpoint TEXT NOT NULL,
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  counted_at DOUBLE PRECISION NOT NULL
);
INSERT INTO catalogsync_snapshot VALUES('shop','pim','a',1795519134.5);
CREATE UNIQUE INDEX catalogsync_snapshot_key ON catalogsync_snapshot (endpoint, source, {key});
CREATE TABLE catalogsync_image (
  endpoint TEXT NOT NULL,
  address TEXT NOT NULL,
  url TEXT NOT NULL,
  file_id TEXT NOT NULL,
  digest TEXT NOT NULL,
  etag TEXT NOT NULL,
  modified TEXT NOT NULL,
  file BIGINT NOT NULL,
  noted_at DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (endpoint, address)
);
INSERT INTO catalogsync_image VALUES('shop','f85adda4ebf44ca4a30f087e5f536b4e','https://shop.example/a.png','f1','d1','"1"','Mon, 30 Nov 2026 12:00:00 GMT',0,1001.0);
CREATE INDEX catalogsync_image_digest ON catalogsync_image (endpoint, digest);
