import { Button, Container, Heading, InlineTip, Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import { isBusy, useJob, useStart, type Job, type Running } from "./api"
import { counted, formatDuration, formatTime } from "./format"
import { Status, StillFailing } from "./status"

/** The state of the job, and a button that starts it. */
export function JobPanel({ more }: { more?: ReactNode }) {
  const { data: job, error, isPending } = useJob()
  const start = useStart()
  return (
    <Container className="divide-y p-0" role="region" aria-label="Catalog sync">
      <div className="flex flex-wrap items-center justify-between gap-3 px-6 py-4">
        <div className="flex items-center gap-3">
          <Heading level="h2">Catalog sync</Heading>
          <span aria-live="polite" className="flex flex-wrap gap-2">
            {job && !error && <Status status={statusOf(job)} partial={!job.running && job.last?.partial} />}
            {job && !error && <StillFailing number={job.failures} />}
          </span>
        </div>
        <div className="flex items-center gap-2">
          {more}
          <Button
            size="small"
            onClick={() => start.mutate()}
            isLoading={start.isPending}
            disabled={!job || Boolean(error) || Boolean(job.running)}
          >
            Sync now
          </Button>
        </div>
      </div>
      <div className="px-6 py-4">
        {isPending && <Text size="small">Loading …</Text>}
        {error && <Problem text={error.message} />}
        {job && !error && <Facts job={job} />}
      </div>
    </Container>
  )
}

function statusOf(job: Job): string | null {
  if (job.running) return "running"
  if (isBusy(job)) return "waiting"
  return job.last ? job.last.status : "never"
}

function Facts({ job }: { job: Job }) {
  const { running, last } = job
  const counts = running?.counts ?? last?.counts
  const reasons = running ? [] : reasonsOf(job)
  return (
    <div className="flex flex-col gap-4">
      {running && <Progress running={running} />}
      <dl className="grid grid-cols-2 gap-4 md:grid-cols-6">
        <Fact name={running ? "Started" : "Last sync"}>{last ? formatTime(last.started_at) : "never"}</Fact>
        <Fact name="Created">{counts?.created}</Fact>
        <Fact name="Updated">{counts?.updated}</Fact>
        <Fact name="Unchanged">{counts?.unchanged}</Fact>
        <Fact name="Failed">{counts && (job.failures > counts.failed ? `${counts.failed} (${job.failures} in all)` : counts.failed)}</Fact>
        <Fact name="Duration">{running ? "…" : formatDuration(last?.duration_s)}</Fact>
      </dl>
      {reasons.length > 0 && <Reasons texts={reasons} status={last?.status ?? null} />}
    </div>
  )
}

function reasonsOf({ problem, last }: Job): string[] {
  const reasons = last?.reasons ?? []
  return problem && !reasons.includes(problem) ? [...reasons, problem] : reasons
}

/** Why the last run has its status; an alert if it failed. */
function Reasons({ texts, status }: { texts: string[]; status: string | null }) {
  const calm = status === "succeeded" || status === "cancelled" || status === "skipped"
  return (
    <InlineTip variant={calm ? "info" : "error"} label={calm ? "Note" : "Problem"} role={calm ? "note" : "alert"}>
      {texts.map((text, index) => (
        <span key={index} className="block">
          {text}
        </span>
      ))}
    </InlineTip>
  )
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt className="txt-compact-xsmall text-ui-fg-subtle">{name}</dt>
      <dd className="txt-compact-small-plus">{children ?? "–"}</dd>
    </div>
  )
}

function Progress({ running: { counts, total, retrying } }: { running: Running }) {
  const { created, updated, unchanged, skipped, failed, unresolved } = counts
  const done = created + updated + unchanged + skipped + failed + unresolved
  return (
    <div className="flex flex-col gap-1">
      <div
        role="progressbar"
        aria-label="Progress of the sync"
        aria-valuemin={0}
        aria-valuemax={total ?? undefined}
        aria-valuenow={total === null ? undefined : done}
        className="bg-ui-bg-component h-1.5 overflow-hidden rounded-full"
      >
        <div className="bg-ui-bg-interactive h-full" style={{ width: `${(100 * done) / (total || Infinity)}%` }} />
      </div>
      <Text size="xsmall">
        <span>{total === null ? `${counted(done, "product")} done` : `${done} of ${counted(total, "product")} done`}</span>
        {done < counts.fetched && `, ${counts.fetched} read`}
      </Text>
      {retrying && (
        <Text size="xsmall">
          {`Retrying “${retrying.what}” at ${formatTime(retrying.next_at)} (attempt ${retrying.attempt}): ${retrying.reason}`}
        </Text>
      )}
    </div>
  )
}

export function Problem({ text }: { text: string }) {
  return (
    <InlineTip variant="error" label="Problem" role="alert">
      {text}
    </InlineTip>
  )
}
