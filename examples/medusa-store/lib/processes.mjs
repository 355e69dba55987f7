// Child processes that end with us, however we end.
import { spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";

const alive = new Set();

/** A child in a session of its own (Ctrl-C reaches only us), with a guard that ends it if we are killed. */
export class Child {
  constructor(command, args, { stopSignal = "SIGTERM", log, ...options }) {
    const output = fs.openSync(log, "a", 0o600);
    this.stopSignal = stopSignal;
    this.process = spawn(command, args, { ...options, detached: true, stdio: ["ignore", output, output] });
    fs.closeSync(output);
    this.running = true;
    this.exited = new Promise((resolve) => {
      const done = (how) => {
        this.running = false;
        alive.delete(this);
        this.guard?.kill("SIGKILL");
        resolve(how);
      };
      this.process.once("exit", (code, signal) => done(signal ?? code));
      this.process.once("error", (error) => done(error.message));
    });
    alive.add(this);
    if (this.process.pid) this.guard = guard(this.process.pid, stopSignal);
  }

  async stop(patience = 15_000) {
    if (!this.running) return;
    this.signal(this.stopSignal);
    const timer = setTimeout(() => this.kill(), patience);
    await this.exited;
    clearTimeout(timer);
  }

  async kill() {
    this.signal("SIGKILL");
    await this.exited;
  }

  // To the whole group: Medusa's commands start further processes.
  signal(name) {
    if (this.running && this.process.pid) process.kill(-this.process.pid, name);
  }
}

// The guard waits for the end of a pipe that only we hold: it closes even when we are killed with SIGKILL.
function guard(pid, signal) {
  const script = 'cat >/dev/null; kill -s "$1" -- -"$2" 2>/dev/null';
  const args = ["-c", script, "guard", signal.replace("SIG", ""), String(pid)];
  const child = spawn("sh", args, { detached: true, stdio: ["pipe", "ignore", "ignore"] });
  child.on("error", () => {}); // no sh: no guard
  child.stdin?.on("error", () => {});
  return child;
}

/** Runs a command to its end; throws if it fails. */
export async function run(command, args, options) {
  const how = await new Child(command, args, options).exited;
  if (how !== 0) throw new Error(`"${args.slice(1).join(" ")}" ended with ${how}; see ${options.log}`);
}

/** Stops what still runs, the newest first: Medusa before its database. */
export async function stopAll() {
  for (const child of [...alive].reverse()) await child.stop();
}

export function killAll() {
  for (const child of alive) child.signal("SIGKILL");
}

export function freePort() {
  return listen(0);
}

export async function requirePort(port) {
  try {
    return await listen(port);
  } catch (error) {
    throw new Error(`port ${port} cannot be used (${error.code}); choose another with --port`);
  }
}

function listen(port) {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const { port: given } = server.address();
      server.close(() => resolve(given));
    });
  });
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Is this process there, and is it one of ours (as far as the system tells)? */
export function processIs(pid, name) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code === "ESRCH") return false;
  }
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(name);
  } catch {
    return true;
  }
}
