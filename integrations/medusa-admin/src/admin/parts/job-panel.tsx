import { Button, Container, Heading, InlineTip, Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import { isBusy, useJob, useStart, type Counts, type Job } from "./api"
import { formatDuration, formatTime } from "./format"
import { Status } from "./status"

/** Where the job stands, and a button that starts it. */
export function JobPanel({ more }: { more?: ReactNode }) {
  const { data: job, error, isPending } = useJob()
  const start = useStart()
  return (
    <Container className="divide-y p-0" role="region" aria-label="Catalog sync">
      <div className="flex flex-wrap items-center justify-between gap-3 px-6 py-4">
        <div className="flex items-center gap-3">
          <Heading level="h2">Catalog sync</Heading>
          <span aria-live="polite">{job && !error && <Status status={statusOf(job)} />}</span>
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
        {isPending && <Text size="small">Asking the catalogsync service …</Text>}
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
  const problem = running ? "" : job.problem || last?.problem
  return (
    <div className="flex flex-col gap-4">
      {running && <Progress counts={running.counts} total={running.total} />}
      <dl className="grid grid-cols-2 gap-4 md:grid-cols-6">
        <Fact name={running ? "Started" : "Last sync"}>{last ? formatTime(last.started_at) : "never"}</Fact>
        <Fact name="Created">{counts?.created}</Fact>
        <Fact name="Updated">{counts?.updated}</Fact>
        <Fact name="Unchanged">{counts?.unchanged}</Fact>
        <Fact name="Failed">{counts?.failed}</Fact>
        <Fact name="Duration">{running ? "…" : formatDuration(last?.duration_s)}</Fact>
      </dl>
      {problem && <Problem text={problem} />}
    </div>
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

function Progress({ counts, total }: { counts: Counts; total: number | null }) {
  const { created, updated, unchanged, skipped, failed, unsettled } = counts
  const done = created + updated + unchanged + skipped + failed + unsettled
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
        <span>{total === null ? `${done} products done` : `${done} of ${total} products done`}</span>
        {done < counts.fetched && `, ${counts.fetched} read`}
      </Text>
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
