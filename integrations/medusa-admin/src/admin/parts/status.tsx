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
export function Status({ status, partial }: { status: string | null; partial?: boolean }) {
  const [text, color] = STATUSES[(status ?? "broken") as keyof typeof STATUSES] ?? [status, "grey"]
  return <StatusBadge color={color}>{partial ? `${text} (chosen products)` : text}</StatusBadge>
}

/** That products of the job fail, whatever its last run says of its own few. */
export function StillFailing({ number }: { number: number }) {
  if (!number) return null
  return <StatusBadge color="orange">{number === 1 ? "1 product fails" : `${number} products fail`}</StatusBadge>
}
