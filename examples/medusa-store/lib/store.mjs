// A store: a template database that is set up once, and working databases made from it.
import { randomBytes, randomUUID } from "node:crypto";
import path from "node:path";
import { readJson, writeSecret } from "./folder.mjs";
import { Medusa } from "./medusa.mjs";
import { databaseUrl, query } from "./postgres.mjs";
import { freePort } from "./processes.mjs";
import { setUp } from "./setup.mjs";

const OURS = "catalogsync store";
const FORM = 2; // raised whenever stores are set up in another way
const FLAGS = ["index_engine", "rbac", "translation"]; // those that need tables; rbac also has the admin's role made
const ADMIN = { email: "admin@example.com", password: "supersecret" };

// Everything a catalog is made of, and the carts that hold it; channels, locations, regions, keys and profiles stay.
const CATALOG = /^(product|image$|inventory_|reservation_|cart|credit_line$|price)/;
const KEPT = /^price_preference$/;

export class Store {
  constructor({ server, folder, name, port, say, project }) {
    Object.assign(this, { server, folder, name, say, project, onEnd: () => {} });
    this.template = `${name}_template`;
    this.file = path.join(folder, `${name}.json`);
    this.url = databaseUrl(server, name);
    this.port = port;
  }

  /** Brings the store up; `fresh` throws the products of the last time away. */
  async open({ fresh }) {
    this.state = readJson(this.file);
    const built = this.state?.form !== FORM || (await this.mark(this.template)) !== this.state.mark;
    if (built) await this.build();
    if (built || fresh || (await this.mark(this.name)) !== this.state.mark) await this.copy();
    this.medusa = this.serverOn(this.url, this.port);
    await this.boot();
  }

  get facts() {
    const { secrets, mark, form, ...known } = this.state;
    const { url } = this.medusa;
    return { url, ...(this.project && { admin_url: `${url}/app` }), ...ADMIN, ...known, database_url: this.url };
  }

  // --- what tests ask for ---

  async fresh() {
    await this.medusa.stop();
    await this.copy();
    await this.boot();
  }

  async empty() {
    const tables = await this.catalogTables();
    const filled = tables.map((table) => `SELECT '${table}' AS name WHERE EXISTS (SELECT FROM ${table})`);
    // Only tables with rows, and those that refer to them: each takes milliseconds. The lock waits for writers.
    await query(this.url, "SET lock_timeout = '20s'", `DO $$
      DECLARE filled text;
      BEGIN
        LOCK TABLE ${tables.join(", ")} IN SHARE MODE;
        SELECT string_agg(name, ', ') INTO filled FROM (${filled.join(" UNION ALL ")}) AS tables;
        IF filled IS NOT NULL THEN EXECUTE 'TRUNCATE ' || filled || ' CASCADE'; END IF;
        DELETE FROM sales_channel_stock_location WHERE stock_location_id <> '${this.state.stock_location_id}';
        DELETE FROM stock_location WHERE id <> '${this.state.stock_location_id}';
      END $$`);
  }

  async kill() {
    await this.medusa.kill();
  }

  async boot({ flags } = {}) {
    await this.medusa.stop();
    if (flags) this.medusa = this.serverOn(this.url, this.port, flags);
    await this.medusa.start();
    const { child } = this.medusa;
    child.exited.then((how) => this.medusa.child === child && this.onEnd(how)); // not asked for
  }

  // --- how it comes about ---

  serverOn(database, port, flags) {
    const { project, folder, state: { secrets } } = this;
    return new Medusa({ project, database, port, secrets, folder, flags });
  }

  // Our databases carry a mark that the file knows: neither is of use without the other.
  async mark(name) {
    const marks = "SELECT coalesce(shobj_description(oid, 'pg_database'), 'none') AS mark FROM pg_database";
    const [row] = await query(this.server, `${marks} WHERE datname = '${name}'`);
    return row?.mark;
  }

  async build() {
    this.say("The first start sets the store up; it takes about 20 seconds.");
    const secret = () => randomBytes(24).toString("hex");
    this.state = { secrets: { jwt: secret(), cookie: secret() }, form: FORM, mark: `${OURS} ${randomUUID()}` };
    await this.recreate(this.template);
    const database = databaseUrl(this.server, this.template);
    const flagged = this.serverOn(database, undefined, FLAGS);
    await flagged.command("db:migrate");
    await flagged.command("user", "-e", ADMIN.email, "-p", ADMIN.password);
    const medusa = this.serverOn(database, await freePort());
    await medusa.start();
    Object.assign(this.state, await setUp(medusa.url, ADMIN));
    await medusa.stop();
    writeSecret(this.file, JSON.stringify(this.state, null, 2));
    await this.setMark(this.template);
  }

  async copy() {
    await this.recreate(this.name, `TEMPLATE "${this.template}"`);
    await this.setMark(this.name);
  }

  async recreate(name, how = "TEMPLATE template0 ENCODING 'UTF8'") {
    const mark = await this.mark(name);
    if (mark && !mark.startsWith(OURS)) throw new Error(`database ${name} is not ours; choose another --database`);
    await query(this.server, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`, `CREATE DATABASE "${name}" ${how}`);
    await this.setMark(name, `${OURS} unfinished`);
  }

  async setMark(name, mark = this.state.mark) {
    await query(this.server, `COMMENT ON DATABASE "${name}" IS '${mark}'`);
  }

  async catalogTables() {
    this.tables ??= (await query(this.url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
      .map((row) => row.tablename).filter((table) => CATALOG.test(table) && !KEPT.test(table));
    return this.tables.map((table) => `"${table}"`);
  }
}
