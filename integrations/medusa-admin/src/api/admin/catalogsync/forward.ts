import type { MedusaRequest, MedusaResponse } from "@medusajs/framework/http"
import { CATALOGSYNC } from "../../../modules/catalogsync"
import CatalogSyncClient, { CatalogSyncError } from "../../../modules/catalogsync/service"

/** Forwards a request to the service, and its response or error back. */
export async function forward(
  req: MedusaRequest,
  res: MedusaResponse,
  ask: (client: CatalogSyncClient) => Promise<unknown>,
  status = 200
): Promise<void> {
  res.setHeader("Cache-Control", "no-store")
  try {
    res.status(status).json(await ask(req.scope.resolve(CATALOGSYNC)))
  } catch (error) {
    if (!(error instanceof CatalogSyncError)) throw error
    res.status(error.status).json({ type: "catalogsync", message: error.message })
  }
}
