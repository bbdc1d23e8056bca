// How nano models are asked: the wordings of the packaged configuration `nano`, so that what brings them up, trains and grades them is one.

import { draftConfig } from '../config/load.ts'
import { ArgumentError } from '../errors.ts'
import type { PromptTemplate } from '../supervision/method.ts'

const { prompts } = draftConfig('nano', []).config.change as { readonly prompts: Readonly<Record<string, PromptTemplate>> }

/** The user's turn of a question under one of them. */
export function wordedAs(name: string, problem: string, reference: string): string {
  const template = prompts[name]
  if (template === undefined) throw new ArgumentError(`nano models have no prompt ${name}; they have ${Object.keys(prompts).join(', ')}`)
  return template.user.replace(/\{(problem|reference)\}/g, (_, what: string) => (what === 'problem' ? problem : reference))
}
