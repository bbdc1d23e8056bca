// Every method that can be asked for by name.

import type { Method } from '../supervision/method.ts'
import { grpo, grpoOpd, grpoVgs } from './grpo.ts'
import { seqkd, sft } from './imitation.ts'
import { opsd, opsdEma, opsdLive, opsdSamePrompt, opsdSampled, opsdTopK } from './opsd.ts'
import { adaptiveVgs, languageSteering, opd, vgs } from './vgs.ts'
import {
  vigos,
  vigosDescriptionOnly,
  vigosNoPerception,
  vigosNoReasoning,
  vigosNoReference,
  vigosPrivilegedDescription,
  vigosReferenceForward,
  vigosReleased,
} from './vigos.ts'

const all: readonly Method[] = [
  ...[sft, seqkd, opsd, opsdSamePrompt, opsdEma, opsdLive, opsdTopK, opsdSampled],
  ...[vigos, vigosReleased, vigosNoPerception, vigosNoReasoning, vigosReferenceForward, vigosNoReference],
  ...[vigosPrivilegedDescription, vigosDescriptionOnly],
  ...[opd, vgs, adaptiveVgs, languageSteering, grpo, grpoOpd, grpoVgs],
]

export const methods: ReadonlyMap<string, Method> = new Map(all.map((method) => [method.name, method]))
