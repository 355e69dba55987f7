#!/usr/bin/env node
// A real Medusa store, or only a PostgreSQL server, for as long as this process runs. See README.md.
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { buildAdmin } from "./lib/admin.mjs";
import { openFolder } from "./lib/folder.mjs";
import { databaseExists, databaseUrl, query, startPostgres } from "./lib/postgres.mjs";
import { freePort, killAll, requirePort, stopAll } from "./lib/processes.mjs";
import { Store } from "./lib/store.mjs";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const USAGE = `usage: node store.mjs start    [--port N] [--data DIR] [--database NAME] [--fresh] [--admin] [--hasty] [--json]
       node store.mjs postgres [--data DIR] [--database NAME] [--hasty] [--json]

start       a Medusa store with its own PostgreSQL (or on the server that DATABASE_URL names)
postgres    only PostgreSQL, on a free port
--port      Medusa's port; 0 is any free one (default 9000; with --json any free one)
--data      where the databases, keys and logs live (default .store beside this file)
--database  the working database (default medusa, or catalogsync for postgres)
--fresh     start without the products of the last time
--admin     with Medusa's admin and catalogsync's plugin in it; built the first time
--hasty     do not wait for the disk: faster, but a power cut may damage the databases
--json      print one line of JSON when ready, take commands on stdin, stop when stdin closes
`;
const OPTIONS = {
  port: { type: "string" }, data: { type: "string" }, database: { type: "string" },
  fresh: { type: "boolean" }, admin: { type: "boolean" }, hasty: { type: "boolean" }, json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
};

const DEFAULT_NAMES = { start: "medusa", postgres: "catalogsync" };

let stopping = false;

async function stop(code) {
  if (stopping) return killAll(); // asked twice: at once
  stopping = true;
  await stopAll();
  process.exit(code);
}

function fail(error) {
  if (stopping) return;
  process.stderr.write(`${error.message ?? error}\n`);
  return stop(1);
}

async function main() {
  const { values, positionals } = readArguments();
  const command = { start, postgres }[positionals[0]];
  if (values.help || !command || positionals.length > 1) {
    process.stderr.write(USAGE);
    process.exit(values.help ? 0 : 2);
  }
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => stop(0));
  const folder = path.resolve(values.data ?? path.join(HERE, ".store"));
  openFolder(folder);
  const input = values.json && readline.createInterface({ input: process.stdin }).once("close", () => stop(0));
  await command({ ...values, folder, input, name: databaseName({ database: DEFAULT_NAMES[positionals[0]], ...values }) });
}

function readArguments() {
  try {
    return parseArgs({ options: OPTIONS, allowPositionals: true });
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${USAGE}`);
    process.exit(2);
  }
}

function databaseName({ database }) {
  if (!/^[a-z_][a-z0-9_]{0,50}$/.test(database)) throw new Error(`--database ${database}: use a-z, 0-9 and _`);
  return database;
}

async function postgres({ folder, name, hasty, json }) {
  const server = await startPostgres(folder, { hasty });
  if (!(await databaseExists(server, name))) await query(server, `CREATE DATABASE "${name}"`);
  const facts = { database_url: databaseUrl(server, name) };
  process.stdout.write(json ? `${JSON.stringify(facts)}\n` : `${facts.database_url}\nStop with Ctrl-C.\n`);
}

async function start({ folder, name, port, fresh, admin, hasty, json, input }) {
  const chosen = await requirePort(Number(port ?? (json ? 0 : 9000)));
  const server = process.env.DATABASE_URL ? databaseUrl(process.env.DATABASE_URL, "postgres") : await startPostgres(folder, { hasty });
  const say = (text) => process.stderr.write(`${text}\n`);
  const project = admin ? await buildAdmin(folder, say) : undefined;
  const store = new Store({ server, folder, name, port: chosen, say, project });
  await store.open({ fresh });
  store.onEnd = (how) => fail(new Error(`Medusa ended by itself (${how}); see ${store.medusa.log}`));
  if (!json) return process.stdout.write(readable(store.facts, folder));
  process.stdout.write(`${JSON.stringify(store.facts)}\n`);
  obey(store, input);
}

function obey(store, input) {
  const actions = { fresh: () => store.fresh(), empty: () => store.empty(), kill: () => store.kill(), boot: (how) => store.boot(how) };
  let last = Promise.resolve();
  const answer = async (line) => {
    let reply;
    try {
      const { do: name, ...how } = JSON.parse(line);
      if (!Object.hasOwn(actions, name)) throw new Error(`not one of ${Object.keys(actions)}: ${name}`);
      await actions[name](how);
      reply = { done: name };
    } catch (error) {
      reply = { failed: line, message: [error.message, error.detail].filter(Boolean).join(" ") };
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  };
  input.on("line", (line) => {
    last = last.then(() => answer(line));
  });
}

function readable(facts, folder) {
  const names = {
    url: "Medusa", admin_url: "Admin", email: "Admin e-mail", password: "Admin password", api_key: "Secret API key",
    publishable_key: "Publishable key", other_publishable_key: "Second publishable key",
    sales_channel_id: "Sales channel", other_sales_channel_id: "Second sales channel",
    stock_location_id: "Stock location", region_id: "Region", shipping_profile_id: "Shipping profile",
    database_url: "Database",
  };
  const lines = Object.entries(names).filter(([key]) => facts[key]).map(([key, label]) => `  ${label.padEnd(24)}${facts[key]}`);
  return `The store is ready.\n\n${lines.join("\n")}\n\nIts data is in ${folder}. Stop it with Ctrl-C.\n`;
}

main().catch(fail);
