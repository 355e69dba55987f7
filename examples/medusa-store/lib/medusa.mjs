// The Medusa server: its command line, its start and its end.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { Child, run, sleep } from "./processes.mjs";

export const PROJECT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../medusa"); // Medusa reads every folder below it

export class Medusa {
  constructor({ project, database, port, secrets, folder, flags = [] }) {
    const own = { DATABASE_URL: database, JWT_SECRET: secrets.jwt, COOKIE_SECRET: secrets.cookie };
    for (const flag of flags) own[`MEDUSA_FF_${flag.toUpperCase()}`] = "true";
    this.url = `http://127.0.0.1:${port}`;
    this.port = port;
    this.options = settings({ cwd: project ?? PROJECT, folder, env: { ...own, ...(project && { STORE_ADMIN: "1" }) } });
    this.log = this.options.log;
    this.child = undefined;
  }

  async command(...args) {
    await run(process.execPath, [cli(), ...args], this.options);
  }

  async start() {
    const args = [cli(), "start", "-H", "127.0.0.1", "-p", String(this.port)];
    this.child = new Child(process.execPath, args, this.options);
    while (this.child.running) {
      const answer = await fetch(`${this.url}/health`).catch(() => undefined);
      if (answer?.ok) return;
      await sleep(50);
    }
    throw new Error(`Medusa did not start; see ${this.log}`);
  }

  async stop() {
    const child = this.child;
    this.child = undefined; // an end that was asked for
    await child?.stop();
  }

  async kill() {
    const child = this.child;
    this.child = undefined;
    await child?.kill();
  }
}

/** Runs one of Medusa's commands that needs no database. */
export async function command(args, options) {
  await run(process.execPath, [cli(), ...args], settings(options));
}

function settings({ cwd, folder, env }) {
  const own = { NODE_ENV: "production", MEDUSA_DISABLE_TELEMETRY: "true", XDG_CONFIG_HOME: quietHome(folder) };
  return { cwd, log: path.join(folder, "medusa.log"), env: { ...process.env, ...own, ...env } };
}

// MEDUSA_DISABLE_TELEMETRY alone still writes to the home folder and still starts a process that sends.
function quietHome(folder) {
  const config = path.join(folder, "config");
  fs.mkdirSync(path.join(config, "medusa"), { recursive: true, mode: 0o700 });
  fs.writeFileSync(path.join(config, "medusa", "config.json"), '{"telemetry":{"enabled":false}}');
  return config;
}

function cli() {
  try {
    const manifest = createRequire(import.meta.url).resolve("@medusajs/cli/package.json");
    return path.join(path.dirname(manifest), "cli.js");
  } catch {
    throw new Error('Medusa is missing: run "npm install" in this folder');
  }
}
