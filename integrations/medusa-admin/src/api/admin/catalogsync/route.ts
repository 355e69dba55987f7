import type { MedusaRequest, MedusaResponse } from "@medusajs/framework/http"
import { forward } from "./forward"

export function GET(req: MedusaRequest, res: MedusaResponse): Promise<void> {
  return forward(req, res, (client) => client.job())
}
