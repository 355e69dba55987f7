import { StatusBadge } from "@medusajs/ui"

const STATUSES = {
  running: ["Running", "blue"],
  waiting: ["Waiting", "blue"],
  succeeded: ["Succeeded", "green"],
  degraded: ["Finished with problems", "orange"],
  incomplete: ["Incomplete", "orange"],
  failed: ["Failed", "red"],
  cancelled: ["Cancelled", "grey"],
  skipped: ["Skipped", "grey"],
  broken: ["Broke off", "red"],
  never: ["Never run", "grey"],
} as const

/** How a run ended; one that has no end and does not go on broke off. */
export function Status({ status }: { status: string | null }) {
  const [text, color] = STATUSES[(status ?? "broken") as keyof typeof STATUSES] ?? [status, "grey"]
  return <StatusBadge color={color}>{text}</StatusBadge>
}
