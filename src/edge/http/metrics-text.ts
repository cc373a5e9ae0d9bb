/**
 * Metrics as text, in OpenMetrics 1.0 or in Prometheus' own format 0.0.4: their data is the same, and only names and
 * comments differ.
 */

export interface Metric {
  /** After Prometheus' conventions, but for the suffix that a counter's (`_total`) and an info's (`_info`) samples get. */
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'info'
  readonly help: string
  /** The last word of the name where that is a unit. */
  readonly unit?: 'seconds'
  readonly samples: readonly Sample[]
}

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>
  readonly value: number
}

const suffixes = { counter: '_total', gauge: '', info: '_info' } as const

export const openMetricsType = 'application/openmetrics-text; version=1.0.0; charset=utf-8'
export const prometheusType = 'text/plain; version=0.0.4; charset=utf-8'

/** Whether a scraper asks for OpenMetrics: Prometheus does, `curl` and `promtool check metrics` do not. */
export function wantsOpenMetrics(accept: string | undefined): boolean {
  return /\bapplication\/openmetrics-text\b/i.test(accept ?? '')
}

/** Metrics without samples are left out. */
export function metricsText(metrics: readonly Metric[], openMetrics: boolean): string {
  const lines = metrics.flatMap(({ name, type, help, unit, samples }) => {
    if (samples.length === 0) return []
    const sampled = name + suffixes[type]
    const family = openMetrics ? name : sampled
    return [
      `# HELP ${family} ${escaped(help)}`,
      `# TYPE ${family} ${openMetrics || type !== 'info' ? type : 'gauge'}`,
      ...(openMetrics && unit !== undefined ? [`# UNIT ${family} ${unit}`] : []),
      ...samples.map(({ labels = {}, value }) => `${sampled}${labelsText(labels)} ${value}`),
    ]
  })
  return `${[...lines, ...(openMetrics ? ['# EOF'] : [])].join('\n')}\n`
}

/** @param name behind `target_relay_` */
export function gauge(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name: `target_relay_${name}`, type: 'gauge', help, samples }
}

export function seconds(name: string, help: string, samples: readonly Sample[]): Metric {
  return { ...gauge(`${name}_seconds`, help, samples), unit: 'seconds' }
}

/** @param atMs epoch ms */
export function timestamp(name: string, help: string, atMs: number | undefined): Metric {
  return seconds(`${name}_timestamp`, help, atMs === undefined ? [] : [{ value: atMs / 1_000 }])
}

export function flag(is: boolean, labels: Readonly<Record<string, string>> = {}): Sample {
  return { labels, value: is ? 1 : 0 }
}

export function one(labels: Readonly<Record<string, string>>): Sample {
  return { labels, value: 1 }
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
