// The data folder: one process at a time uses it, and its secrets are readable by its owner only.
import fs from "node:fs";
import path from "node:path";
import { processIs } from "./processes.mjs";

export function openFolder(folder) {
  fs.mkdirSync(folder, { recursive: true, mode: 0o711 });
  const lock = path.join(folder, "store.pid");
  const holder = readText(lock);
  if (holder && Number(holder) !== process.pid && processIs(Number(holder), "store.mjs")) {
    throw new Error(`${folder} is in use by process ${holder}; stop it or choose another folder with --data`);
  }
  writeSecret(lock, String(process.pid));
  process.on("exit", () => fs.rmSync(lock, { force: true }));
}

export function readText(file) {
  try {
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

export function readJson(file) {
  const text = readText(file);
  return text === undefined ? undefined : JSON.parse(text);
}

export function writeSecret(file, text) {
  const draft = `${file}.${process.pid}`;
  fs.writeFileSync(draft, text, { mode: 0o600 });
  fs.renameSync(draft, file);
}
