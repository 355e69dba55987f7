import { StatusBadge } from "@medusajs/ui"

const STATUSES = {
  running: ["Running", "blue"],
  waiting: ["Queued", "blue"],
  succeeded: ["Succeeded", "green"],
  degraded: ["Finished with problems", "orange"],
  incomplete: ["Incomplete", "orange"],
  failed: ["Failed", "red"],
  cancelled: ["Cancelled", "grey"],
  skipped: ["Skipped", "grey"],
  broken: ["Crashed", "red"],
  never: ["Never run", "grey"],
} as const

/** The status of a run; a run that has neither a status nor is active has crashed. */
export function Status({ status, partial }: { status: string | null; partial?: boolean }) {
  const [text, color] = STATUSES[(status ?? "broken") as keyof typeof STATUSES] ?? [status, "grey"]
  return <StatusBadge color={color}>{partial ? `${text} (chosen products)` : text}</StatusBadge>
}

/** The number of failing products of the job, also if its last run took selected products only. */
export function StillFailing({ number }: { number: number }) {
  if (!number) return null
  return <StatusBadge color="orange">{number === 1 ? "1 product fails" : `${number} products fail`}</StatusBadge>
}
