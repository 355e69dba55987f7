const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" })

/** Seconds since the epoch as a date and time. */
export const formatTime = (seconds: number) => when.format(seconds * 1000)

export function formatDuration(seconds: number | null | undefined): string {
  if (seconds == null) return "–"
  if (seconds < 99.995) return `${(seconds && Math.max(seconds, 0.01)).toFixed(2)} s`
  const whole = Math.round(seconds)
  const minutes = Math.floor(whole / 60)
  return minutes < 60
    ? `${minutes} min ${whole % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** A number with a noun, for example `1 product`. */
export const counted = (number: number, what: string) => `${number} ${what}${number === 1 ? "" : "s"}`
