import type { MedusaRequest, MedusaResponse } from "@medusajs/framework/http"
import { forward } from "../forward"

const SHOWN = 30

export function GET(req: MedusaRequest, res: MedusaResponse): Promise<void> {
  return forward(req, res, (client) => client.runs(SHOWN))
}

export function POST(req: MedusaRequest, res: MedusaResponse): Promise<void> {
  return forward(req, res, (client) => client.start(), 202)
}
