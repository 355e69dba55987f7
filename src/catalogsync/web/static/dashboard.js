// Live numbers, and buttons that do not reload the page. Everything works without.
"use strict";

const root = document.body.dataset.root;
const over = new Set(); // runs that ended
let stream = null, refreshing = false, again = false;

const live = () => document.querySelectorAll("[data-live]");

function say(id, text) {
  document.getElementById(id).textContent = text;
}

// Replaces the live parts with those of a newer version of this page.
function take(page) {
  for (const part of live()) {
    const news = page.getElementById(part.id);
    if (!news || news.outerHTML === part.outerHTML) continue;
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    part.replaceWith(news);
    if (focused) (twin(news, focused) ?? document.getElementById("main")).focus();
  }
}

// The element of a part that corresponds to one of its earlier version.
function twin(part, element) {
  const is = (name, other) => element.getAttribute(name) === other.getAttribute(name);
  return [...part.querySelectorAll(element.localName)].find(
    (other) => is("id", other) && is("href", other) && is("aria-labelledby", other),
  );
}

async function load(address, options) {
  const answer = await fetch(address, options);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const elsewhere = answer.redirected && new URL(answer.url).pathname !== location.pathname;
  if (elsewhere) location.assign(answer.url);
  return { answer, page, elsewhere };
}

// One at a time; one more refresh afterwards covers requests in between.
async function refresh() {
  if (refreshing) {
    again = true;
    return;
  }
  refreshing = true;
  let fresh = false;
  try {
    const { answer, page, elsewhere } = await load(location.href);
    fresh = answer.ok && !elsewhere;
    if (fresh) take(page);
  } catch {
    // The connection is lost; the stream reconnects, or reports it.
  }
  await new Promise((done) => setTimeout(done, 250));
  const stale = [...live()].some((part) => over.has(part.dataset.run));
  const more = fresh && (again || stale);
  refreshing = again = false;
  if (more) refresh();
}

function show(part, counts, total) {
  const { fetched, removed, ...ends } = counts;
  const done = Object.values(ends).reduce((sum, number) => sum + number, 0);
  for (const [name, number] of Object.entries({ ...counts, done })) {
    const place = part.querySelector(`[data-count="${name}"]`);
    if (place) place.textContent = number;
  }
  const bar = part.querySelector("progress");
  if (total) {
    bar.max = total;
    part.querySelector('[data-count="total"]').textContent = total;
  }
  if (!bar.hasAttribute("max")) return;
  const before = Math.floor(bar.position * 4);
  bar.value = done;
  const quarter = Math.floor(bar.position * 4);
  if (quarter > before && quarter < 4) say("said", `${part.dataset.job}: ${quarter * 25} percent`);
}

// A failure that is being retried; cleared by the next success.
function showRetry(part, kind, event) {
  const place = part.querySelector("[data-retrying]");
  if (!place) return;
  if (kind === "Retrying") {
    const at = new Date(event.next_at * 1000).toISOString().slice(0, 19).replace("T", " ");
    place.textContent = `Retrying “${event.what}” at ${at} UTC (attempt ${event.attempt}): ${event.reason}`;
  } else if (WORKED.has(kind)) place.textContent = "";
}

// Before the first page of a large file; cleared like a failure that is being retried.
function showReading(part, { done, total, unit }) {
  const place = part.querySelector("[data-retrying]");
  const of = total ? ` of ${total.toLocaleString("en")}` : "";
  if (place) place.textContent = `Reading the source: ${done.toLocaleString("en")}${of} ${unit}`;
}

function hear(kind, event) {
  const { job, run_id: run, counts, total, summary } = event;
  const parts = [...live()].filter((part) => part.dataset.job === job);
  if (!parts.length) return;
  if (kind === "RunStarted") say("said", `${job}: run started`);
  if (kind === "RunFinished") {
    over.add(run);
    say("said", summary);
    refresh();
    return;
  }
  for (const part of parts) {
    if (part.dataset.run === run && kind === "SourceReading") {
      showReading(part, event);
    } else if (part.dataset.run === run) {
      show(part, counts, total);
      showRetry(part, kind, event);
    } else if ("watch" in part.dataset) refresh();
  }
}

const KINDS = [
  "RunStarted", "SourceReading", "PageRead", "Compared", "BatchWritten", "ProductFailed",
  "ProductUnresolved", "Retrying", "RunStopping", "RunFinished",
];
const WORKED = new Set(["PageRead", "Compared", "BatchWritten"]);

function listen() {
  stream = new EventSource(`${root}api/events`);
  stream.addEventListener("open", refresh);
  stream.addEventListener("dropped", () => {
    stream.close();
    listen();
  });
  stream.addEventListener("error", () => {
    if (stream.readyState === EventSource.CLOSED) {
      say("notice", "Live updates lost; refresh the page.");
    }
  });
  for (const kind of KINDS) {
    stream.addEventListener(kind, (event) => hear(kind, JSON.parse(event.data)));
  }
}

async function send(form) {
  const button = form.querySelector("button");
  if (button.getAttribute("aria-disabled")) return;
  button.setAttribute("aria-disabled", "true");
  try {
    const body = new URLSearchParams(new FormData(form));
    const { answer, page, elsewhere } = await load(form.action, { method: "POST", body });
    if (elsewhere) return;
    if (answer.ok) take(page);
    say("notice", page.getElementById(answer.ok ? "notice" : "problem")?.textContent ?? "Request failed.");
  } catch {
    say("notice", "No response; try again.");
  }
  button.removeAttribute("aria-disabled");
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-stays]")) return;
  event.preventDefault();
  send(event.target);
});

// Hidden pages use none of the few connections that a browser has.
if (live().length) {
  listen();
  // Planning in the background sends no events.
  setInterval(() => document.querySelector("[data-poll]") && refresh(), 1000);
  document.addEventListener("visibilitychange", () => {
    stream.close();
    if (!document.hidden) listen();
  });
}
