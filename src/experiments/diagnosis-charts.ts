// What the report of one diagnosis and that of an experiment over many bases draw alike: angles of gradients by bin, and the measures of dynamics.

import type { Diagnosis } from '../diagnostics/diagnosis.ts'
import { type BinChart, type BinValue, binChart } from '../report/bins.ts'
import type { Chart } from '../report/chart.ts'
import type { Interval } from '../statistics/interval.ts'

/** The three losses of VGS, as they are called in charts. */
export const lossNames = { std: 'Std', vis: 'Vis', lang: 'Lang' } as const
export type LossName = keyof typeof lossNames

/** The angles between their gradients, each with its two losses. */
const pairs = {
  stdVis: { name: 'Std, Vis', of: ['std', 'vis'] },
  stdLang: { name: 'Std, Lang', of: ['std', 'lang'] },
  visLang: { name: 'Vis, Lang', of: ['vis', 'lang'] },
} as const satisfies { readonly [pair: string]: { readonly name: string; readonly of: readonly [LossName, LossName] } }
export type PairName = keyof typeof pairs

export const dependencyBins = 'tenth of tokens by visual dependency'

/** Gradients of the tokens of a bin. Null: not measured, or a zero vector. */
export interface AngleBin {
  /** What the bin holds, for its tooltip. */
  readonly detail?: string
  /** In degrees. */
  readonly angles: { readonly [P in PairName]: Interval | null }
  readonly norms: { readonly [L in LossName]: number | null }
}

/** Below this share of a loss's largest norm over the bins, its angles are drawn faint. */
const faintNorm = 0.01
export const faintNote = `Faint: a norm below ${100 * faintNorm} % of that loss’s largest, where the angle is noise.`

const entries = <T extends object>(table: T): [keyof T, T[keyof T]][] => Object.entries(table) as [keyof T, T[keyof T]][]

/** Angles between the gradients of the three losses by bin, with 90° to hold them against, above the gradients' norms. */
export function angleChart(bins: readonly AngleBin[]): Chart {
  // A zero has no place on a logarithmic axis.
  const normOf = ({ norms }: AngleBin, loss: LossName): number | null => ((norms[loss] ?? 0) > 0 ? norms[loss] : null)
  const largest = (loss: LossName): number => Math.max(...bins.map((bin) => normOf(bin, loss) ?? 0))
  const faint = (bin: AngleBin, losses: readonly LossName[]): boolean => losses.some((loss) => (normOf(bin, loss) ?? 0) < faintNorm * largest(loss))
  const norms = entries(lossNames).map(([loss, name]) => ({ name, values: bins.map((bin) => normOf(bin, loss)) }))
  const under: BinChart['under'] = { y: { label: 'norm', log: true }, series: norms }
  return binChart({
    bins: bins.map(({ detail }, i) => ({ label: `${i}`, ...(detail !== undefined && { detail }) })),
    binsLabel: dependencyBins,
    y: { label: 'angle', unit: '°' },
    series: entries(pairs).map(([pair, { name, of }]) => ({
      name,
      values: bins.map((bin): BinValue | null => {
        const angle = bin.angles[pair]
        return angle === null ? null : { ...angle, faint: faint(bin, of) }
      }),
    })),
    reference: { at: 90, label: 'perpendicular' },
    ...(norms.some(({ values }) => values.some((value) => value !== null)) && { under }),
  })
}

export type Ratio = Diagnosis['valid']
/** The mean that a ratio is; null of nothing. */
export const ratioOf = ({ sum, count }: Ratio): number | null => (count === 0 ? null : sum / count)

export type DynamicsStep = NonNullable<Diagnosis['dynamics']>[number]

/** What of the dynamics is drawn: VGS's figures 4 and 7. Losses in nats. */
export const dynamicsMeasures = {
  vis: { title: 'Visual loss', unit: 'nats', of: ({ all }) => ratioOf(all.vis) },
  lang: { title: 'Language loss', unit: 'nats', of: ({ all }) => ratioOf(all.lang) },
  dependentVis: { title: 'Visual loss, dependent tokens', unit: 'nats', of: ({ dependent }) => ratioOf(dependent.vis) },
  dependentLang: { title: 'Language loss, dependent tokens', unit: 'nats', of: ({ dependent }) => ratioOf(dependent.lang) },
  normStd: { title: 'Norm of the standard gradient', unit: '', of: ({ norms }) => norms.std },
  normVis: { title: 'Norm of the visual gradient', unit: '', of: ({ norms }) => norms.vis },
  cosine: { title: 'Cosine of standard and visual gradient', unit: '', of: ({ cosine }) => cosine },
} as const satisfies {
  readonly [name: string]: { readonly title: string; readonly unit: string; readonly of: (step: DynamicsStep) => number | null }
}
