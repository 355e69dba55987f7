import type { Logger } from "@medusajs/framework/types"
import { readSettings, type Options, type Settings } from "./settings"

const PATIENCE = 10_000

/** Why there is no good answer, in words for the shop's people. */
export class CatalogSyncError extends Error {
  constructor(readonly status: number, message: string) {
    super(message)
  }
}

/** Talks to the catalogsync service. The token stays here. */
export default class CatalogSyncClient {
  private readonly settings: Settings | string

  constructor(private readonly container: { logger: Logger }, options: Options = {}) {
    this.settings = readSettings(options)
  }

  /** Where the job stands. */
  job(): Promise<unknown> {
    return this.ask("GET", ({ job }) => `/api/jobs/${encodeURIComponent(job)}`)
  }

  /** Its last runs, the newest first. */
  runs(limit: number): Promise<unknown> {
    return this.ask("GET", ({ job }) => `/api/runs?job=${encodeURIComponent(job)}&limit=${limit}`)
  }

  /** Asks for a run of all products. */
  start(): Promise<unknown> {
    return this.ask("POST", ({ job }) => `/api/jobs/${encodeURIComponent(job)}/runs`)
  }

  private async ask(method: string, path: (settings: Settings) => string): Promise<unknown> {
    const { settings } = this
    if (typeof settings === "string") throw new CatalogSyncError(503, settings)
    const answer = await this.send(method, settings.url + path(settings), settings.token)
    const body: unknown = await answer.json().catch(() => undefined)
    if (!answer.ok) throw refusal(answer, body, settings.job)
    if (typeof body !== "object" || body === null) throw notCatalogSync()
    return body
  }

  private async send(method: string, url: string, token: string): Promise<Response> {
    const headers = { authorization: `Bearer ${token}` }
    try {
      return await fetch(url, { method, headers, redirect: "error", signal: AbortSignal.timeout(PATIENCE) })
    } catch (error) {
      const { message, cause } = error as Error
      this.container.logger.warn(`catalogsync: ${method} ${url}: ${cause instanceof Error ? cause.message : message}`)
      throw new CatalogSyncError(503, "The catalogsync service does not answer. Is it running?")
    }
  }
}

// Never 401: the admin would take it for the end of its own session.
function refusal(answer: Response, body: unknown, job: string): CatalogSyncError {
  const said = (body as { error?: unknown } | undefined)?.error
  if (typeof said !== "string") return notCatalogSync()
  switch (answer.status) {
    case 401:
      return new CatalogSyncError(502, "The catalogsync service refused our token. Check CATALOGSYNC_TOKEN.")
    case 403:
      return new CatalogSyncError(502, "Our token may look but not start a sync: it needs the role operate.")
    case 404:
      return new CatalogSyncError(502, `The catalogsync service has no job named ${job}. Check CATALOGSYNC_JOB.`)
    default:
      return new CatalogSyncError(502, `The catalogsync service says: ${said}`)
  }
}

function notCatalogSync(): CatalogSyncError {
  return new CatalogSyncError(502, "What answers is not a catalogsync service. Check CATALOGSYNC_URL.")
}
