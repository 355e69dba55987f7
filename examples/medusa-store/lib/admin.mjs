// Medusa's admin with catalogsync's plugin in it, built once for each state of the plugin.
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { readText } from "./folder.mjs";
import { command, PROJECT } from "./medusa.mjs";

const STORE = path.dirname(PROJECT);
const PLUGIN = path.resolve(STORE, "../../integrations/medusa-admin");
const PARTS = ["package.json", "tsconfig.json", "src"].map((part) => path.join(PLUGIN, part));
const BUILT = path.join(STORE, ".admin"); // beside node_modules, so that its packages are found
const SEAL = "fingerprint";
const OUTPUT = path.join(".medusa", "server");
const TSCONFIG = { compilerOptions: { allowJs: true, skipLibCheck: true, outDir: OUTPUT }, files: ["medusa-config.js"] };

/** Builds what is not built yet; returns the folder that Medusa is to run in. */
export async function buildAdmin(folder, say) {
  const state = fingerprint([...PARTS, PROJECT, path.join(STORE, "package.json"), fileURLToPath(import.meta.url)]);
  const isBuilt = () => readText(path.join(BUILT, SEAL)) === state;
  if (!isBuilt()) {
    say("The admin is being built; it takes about a minute and 2 GB of memory.");
    const draft = `${BUILT}.${process.pid}`;
    try {
      await build(draft, folder);
      fs.writeFileSync(path.join(draft, SEAL), state);
      if (!isBuilt()) replace(BUILT, draft); // else another process was quicker, and may be using it
    } finally {
      fs.rmSync(draft, { recursive: true, force: true });
    }
  }
  return path.join(BUILT, OUTPUT);
}

function replace(folder, draft) {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.renameSync(draft, folder);
}

async function build(draft, folder) {
  const manifest = JSON.parse(readText(path.join(PLUGIN, "package.json")));
  const plugin = path.join(draft, "node_modules", manifest.name);
  for (const part of PARTS) copy(part, path.join(plugin, path.basename(part)));
  await command(["plugin:build"], { cwd: plugin, folder });

  copy(PROJECT, draft);
  fs.writeFileSync(path.join(draft, "tsconfig.json"), JSON.stringify(TSCONFIG));
  const modules = path.dirname(plugin); // where the search for style sheet classes does not look by itself
  await command(["build"], { cwd: draft, folder, env: { STORE_ADMIN: "1", NODE_PATH: modules } });
  if (!fs.existsSync(path.join(draft, OUTPUT, "public", "admin", "index.html"))) {
    throw new Error(`the admin was not built; see ${path.join(folder, "medusa.log")}`); // Medusa's build may not say so
  }
}

const copy = (from, to) => fs.cpSync(from, to, { recursive: true });

function fingerprint(places) {
  const hash = createHash("sha256");
  for (const place of places) {
    const inside = fs.statSync(place).isDirectory() ? fs.readdirSync(place, { recursive: true }).sort() : [""];
    for (const name of inside) {
      const file = path.join(place, name);
      if (fs.statSync(file).isFile()) hash.update(`${file}\0`).update(fs.readFileSync(file)).update("\0");
    }
  }
  return hash.digest("hex");
}
