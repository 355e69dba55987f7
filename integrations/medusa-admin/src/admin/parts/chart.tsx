import { Heading, Text } from "@medusajs/ui"

export interface Series {
  name: string
  color: string
}

export interface Bar {
  key: string
  label: string
  values: number[]
}

const [WIDTH, HEIGHT] = [480, 120]

/** Stacked bars, one for each run. The table below has the same figures. */
export function BarChart({ title, unit, series, bars }: { title: string; unit: string; series: Series[]; bars: Bar[] }) {
  const most = Math.max(...bars.map(({ values }) => sum(values)), Number.MIN_VALUE)
  const slot = WIDTH / Math.max(bars.length, 12)
  return (
    <figure className="flex flex-col gap-2">
      <figcaption className="flex flex-wrap items-center justify-between gap-2">
        <Heading level="h3">{title}</Heading>
        <Legend series={series} />
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${title}, at most ${format(most)} ${unit}`}>
        {bars.map(({ key, label, values }, index) => (
          <g key={key}>
            <title>{`${label}: ${values.map((value, at) => `${format(value)} ${series[at]?.name}`).join(", ")}`}</title>
            {values.map((value, at) => (
              <rect
                key={at}
                x={index * slot + slot * 0.1}
                width={slot * 0.8}
                y={HEIGHT - (HEIGHT * sum(values.slice(0, at + 1))) / most}
                height={(HEIGHT * value) / most}
                fill={series[at]?.color}
              />
            ))}
          </g>
        ))}
        <line x1={0} x2={WIDTH} y1={HEIGHT} y2={HEIGHT} stroke="var(--border-strong)" />
      </svg>
      <Text size="xsmall" className="text-ui-fg-subtle">{`Highest bar: ${format(most)} ${unit}. Oldest run on the left.`}</Text>
    </figure>
  )
}

function Legend({ series }: { series: Series[] }) {
  return (
    <span className="txt-compact-xsmall flex gap-3">
      {series.map(({ name, color }) => (
        <span key={name} className="flex items-center gap-1">
          <span style={{ background: color }} className="inline-block size-2" />
          {name}
        </span>
      ))}
    </span>
  )
}

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)
const format = (value: number) => (Number.isInteger(value) ? String(value) : value.toFixed(1))
