import Medusa from "@medusajs/js-sdk"
import { toast } from "@medusajs/ui"
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import { useEffect, useRef } from "react"

export interface Counts {
  fetched: number
  created: number
  updated: number
  unchanged: number
  skipped: number
  removed: number
  failed: number
  unresolved: number
}

export interface Run {
  run_id: string
  status: string | null
  started_at: number
  duration_s: number | null
  counts: Counts | null
  partial: boolean
  /** Why it ended as it did, in the words of the terminal and the dashboard. */
  reasons: string[]
}

export interface Running {
  run_id: string
  started_at: number
  counts: Counts
  total: number | null
  retrying: { what: string; attempt: number; reason: string; next_at: number } | null
}

export interface Job {
  name: string
  source: string
  sink: string
  running: Running | null
  last: Run | null
  problem: string
  waiting: number
  /** Products that failed, in whichever run, and did not succeed since. */
  failures: number
}

// Logs in the way that the admin does.
const sdk = new Medusa({
  baseUrl: __BACKEND_URL__ || "/",
  auth: { type: __AUTH_TYPE__ ?? "session", jwtTokenStorageKey: __JWT_TOKEN_STORAGE_KEY__ || undefined },
})

const JOB = ["catalogsync", "job"]
const RUNS = ["catalogsync", "runs"]
const WHILE_RUNNING = 2_000
const OTHERWISE = 30_000

/** Whether a run goes on or is about to begin. */
export const isBusy = (job?: Job) => Boolean(job && (job.running || job.waiting))

/** The job, again every two seconds while it runs. */
export function useJob() {
  const client = useQueryClient()
  const query = useQuery<Job, Error>({
    queryKey: JOB,
    queryFn: () => sdk.client.fetch<Job>("/admin/catalogsync"),
    refetchInterval: ({ state }) => (isBusy(state.data) && !state.error ? WHILE_RUNNING : OTHERWISE),
    staleTime: 0,
    retry: false,
  })
  const running = Boolean(query.data?.running)
  const stage = query.data && `${query.data.last?.run_id} ${running}`
  const before = useRef(stage)
  useEffect(() => {
    if (before.current && before.current !== stage) {
      client.invalidateQueries({ queryKey: RUNS })
      if (!running) client.invalidateQueries({ queryKey: ["products"] }) // the admin's own list
    }
    before.current = stage
  }, [client, running, stage])
  return query
}

/** The last runs, the newest first. */
export function useRuns() {
  return useQuery<Run[], Error>({
    queryKey: RUNS,
    queryFn: async () => (await sdk.client.fetch<{ runs: Run[] }>("/admin/catalogsync/runs")).runs,
    staleTime: 0,
    retry: false,
  })
}

/** Asks for a run. */
export function useStart() {
  const client = useQueryClient()
  return useMutation<unknown, Error>({
    mutationFn: () => sdk.client.fetch("/admin/catalogsync/runs", { method: "POST" }),
    onError: (error) => void toast.error("The sync was not started", { description: error.message }),
    onSettled: () => client.invalidateQueries({ queryKey: JOB }),
  })
}
