import { defineRouteConfig } from "@medusajs/admin-sdk"
import { ArrowPath } from "@medusajs/icons"
import { Container, Heading, Table, Text } from "@medusajs/ui"
import { useJob, useRuns, type Counts, type Run } from "../../parts/api"
import { BarChart, type Series } from "../../parts/chart"
import { formatDuration, formatTime } from "../../parts/format"
import { JobPanel, Problem } from "../../parts/job-panel"
import { Status } from "../../parts/status"

const COLUMNS = ["fetched", "created", "updated", "unchanged", "skipped", "removed", "failed", "unresolved"] as const

const PRODUCTS: (Series & { count: keyof Counts })[] = [
  { name: "created", count: "created", color: "var(--tag-green-icon)" },
  { name: "updated", count: "updated", color: "var(--tag-blue-icon)" },
  { name: "failed", count: "failed", color: "var(--tag-red-icon)" },
]
const SECONDS: Series[] = [{ name: "seconds", color: "var(--tag-purple-icon)" }]

const CatalogSyncPage = () => {
  const { data: runs, error } = useRuns()
  return (
    <div className="flex flex-col gap-3">
      <JobPanel />
      {error && <Problem text={error.message} />}
      {runs && <Charts runs={runs} />}
      {runs && <History runs={runs} />}
    </div>
  )
}

function Charts({ runs }: { runs: Run[] }) {
  const ended = runs.filter(({ counts }) => counts).reverse()
  if (!ended.length) return null
  const bars = (values: (run: Run) => number[]) =>
    ended.map((run) => ({ key: run.run_id, label: formatTime(run.started_at), values: values(run) }))
  return (
    <Container className="grid gap-8 md:grid-cols-2">
      <BarChart
        title="Products changed"
        unit="products"
        series={PRODUCTS}
        bars={bars(({ counts }) => PRODUCTS.map(({ count }) => counts?.[count] ?? 0))}
      />
      <BarChart title="Duration" unit="seconds" series={SECONDS} bars={bars(({ duration_s }) => [duration_s ?? 0])} />
    </Container>
  )
}

function History({ runs }: { runs: Run[] }) {
  return (
    <Container className="overflow-x-auto p-0">
      <Heading level="h2" className="px-6 py-4">
        Run history
      </Heading>
      {runs.length ? <Runs runs={runs} /> : <Text className="px-6 pb-4">No runs yet.</Text>}
    </Container>
  )
}

function Runs({ runs }: { runs: Run[] }) {
  const running = useJob().data?.running?.run_id
  return (
    <Table aria-label="Run history">
      <Table.Header>
        <Table.Row>
          <Table.HeaderCell>Started</Table.HeaderCell>
          <Table.HeaderCell>Status</Table.HeaderCell>
          {COLUMNS.map((name) => (
            <Table.HeaderCell key={name} className="text-right capitalize">
              {name}
            </Table.HeaderCell>
          ))}
          <Table.HeaderCell className="text-right">Duration</Table.HeaderCell>
        </Table.Row>
      </Table.Header>
      <Table.Body>
        {runs.map((run) => (
          <Table.Row key={run.run_id} title={run.reasons.join("\n") || undefined}>
            <Table.Cell className="whitespace-nowrap">{formatTime(run.started_at)}</Table.Cell>
            <Table.Cell>
              <Status status={run.run_id === running ? "running" : run.status} partial={run.partial} />
            </Table.Cell>
            {COLUMNS.map((name) => (
              <Table.Cell key={name} className="text-right">
                {run.counts?.[name] ?? "–"}
              </Table.Cell>
            ))}
            <Table.Cell className="whitespace-nowrap text-right">{formatDuration(run.duration_s)}</Table.Cell>
          </Table.Row>
        ))}
      </Table.Body>
    </Table>
  )
}

export const config = defineRouteConfig({ label: "Catalog sync", icon: ArrowPath })

export default CatalogSyncPage
