// The tiny reference checkpoints and what transformers computed with them (tools/goldens made both).

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { ImageInput, Model } from '../../src/models/model.ts'
import type { Grid } from '../../src/models/positions.ts'
import { openSafetensors, type Safetensors } from '../../src/torch/safetensors.ts'

export const families = ['qwen2_5_vl', 'qwen3_vl'] as const
export type FamilyName = (typeof families)[number]

export const goldensFolder = fileURLToPath(new URL('../goldens', import.meta.url))
export const folderOf = (family: FamilyName): string => `${goldensFolder}/${family}`

export interface Case {
  readonly ids: readonly number[]
  readonly grids: readonly Grid[]
  readonly pixelOffset: number
}

export interface Reference {
  readonly cases: { readonly [name: string]: Case }
  readonly ragged: { readonly rows: readonly string[] }
  readonly greedy: { readonly [name: string]: { readonly tokens: readonly number[]; readonly margin: number } }
  readonly crossEntropy: { readonly case: string; readonly positions: readonly number[]; readonly loss: number }
}

export const referenceOf = (family: FamilyName): Reference => JSON.parse(readFileSync(`${folderOf(family)}/reference.json`, 'utf8')) as Reference
export const tensorsOf = (family: FamilyName): Safetensors => openSafetensors(`${folderOf(family)}/reference.safetensors`)

export function caseOf(reference: Reference, name: string): Case {
  const found = reference.cases[name]
  if (found === undefined) throw new Error(`no reference case ${name}`)
  return found
}

/** The images of a case: reference.json's pixelFormula, counted on from one image to the next. */
export function imagesOf(model: Model, { grids, pixelOffset }: Case): ImageInput[] {
  const { channels, temporalPatch, patch } = model.config.vision
  let next = pixelOffset
  return grids.map((grid) => {
    const pixels = new Float32Array(grid[1] * grid[2] * channels * temporalPatch * patch * patch)
    for (let i = 0; i < pixels.length; i++, next++) pixels[i] = ((Math.imul(next, 2654435761) >>> 8) / 2 ** 24) * 4 - 2
    return { pixels, grid }
  })
}
