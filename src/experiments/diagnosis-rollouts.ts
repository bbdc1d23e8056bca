// Rollouts of a diagnosis, their tokens coloured by what was measured of them: answer against picture where PALR was, else visual dependency.

import type { DiagnosedRollout, Diagnosis } from '../diagnostics/diagnosis.ts'
import { type Html, html, type Section } from '../report/html.ts'
import { significant } from '../report/numbers.ts'
import { lossSteps } from '../report/token-scale.ts'
import { type ReportToken, rolloutCard, type TokenStyle, tokenLegend } from '../report/tokens.ts'

/** Rollouts whose tokens are shown. */
const shownRollouts = 6
/** In nats: where a teacher owes less to answer and image together, the share of either is rounding. */
const leastOwed = 0.01

/** A rollout's tokens by what drives their teacher. An invalid rollout has none. */
function palrTokens({ tokens, segments, palr }: DiagnosedRollout, cap: number | null): ReportToken[] {
  return tokens.map((text, t) => {
    const teacher = palr?.terms[t] ?? null
    const [shift = 0, answer = 0, image = 0] = [palr?.shift[t], palr?.answer[t], palr?.image[t]]
    return {
      ...{ text, segment: segments[t] ?? 'other', teacher, loss: teacher === null ? null : shift, gate: 1 },
      clipped: teacher !== null && cap !== null && shift >= cap,
      ...(teacher !== null && answer + image >= leastOwed && { imageShare: image / (answer + image) }),
    }
  })
}

const verdictOf = ({ valid, correct }: DiagnosedRollout): string => (valid ? (correct ? 'right' : 'wrong') : 'malformed')

/** How much of the colour each step adds to the ground, %. Text stays readable on all of them. */
const shade = 12

/** A text on the ground of its visual dependency, by the steps that losses have too: there is no teacher to underline, no answer to hold against. */
function shaded(text: string, value: number, title: string): Html {
  const steps = lossSteps.filter((step) => value >= step).length
  return html`<span style="background:color-mix(in srgb,var(--c0) ${shade * steps}%,transparent)" title="${title}">${text}</span>`
}

/** What the grounds mean. */
function dependencyLegend(): Html {
  const grades = [0, ...lossSteps].map((least) => html`${shaded(least === 0 ? 'below' : `≥\u202f${least}`, least, '')} `)
  return html`<ul class="tokenkey tokens"><li>VDS ${grades} nats</li></ul>`
}

/** A question, and the rollout written for it. */
function dependencyCard({ problem, answer, correct, tokens, segments, dependency }: DiagnosedRollout, verdict: string): Html {
  const shown = tokens.map((text, t) => {
    const value = dependency?.[t] ?? 0
    return shaded(text, value, `${JSON.stringify(text)} · ${segments[t] ?? 'other'} · VDS ${significant(value)} nats`)
  })
  return html`<article class="rollout"><div class="asked"><p class="problem">${problem}</p><p class="answer">Answer: <b>${answer}</b></p></div>
<div class="written"><div><h4>own rollout <span class="${correct ? 'right' : 'wrong'}">${correct ? '✓' : '✗'} ${verdict}</span></h4><div class="tokens">${shown}</div></div></div></article>`
}

/** The first rollouts with their tokens coloured; null where nothing was measured token by token. */
export function transcripts({ palr, dependency, rollouts }: Diagnosis): Section | null {
  const shown = rollouts.slice(0, shownRollouts)
  const title = shown.length === 1 ? 'A rollout' : `The first ${shown.length} rollouts`
  if (shown.length === 0) return null
  if (palr !== null) {
    const teachers = [...new Set(rollouts.flatMap((rollout) => rollout.palr?.terms ?? []))].filter((term) => term !== null)
    const style: TokenStyle = { segments: [], teachers, ground: 'imageShare' }
    const cards = shown.map((rollout) => {
      const view = { label: 'own rollout', verdict: verdictOf(rollout), right: rollout.correct, tokens: palrTokens(rollout, palr.cap) }
      return rolloutCard({ problem: rollout.problem, answer: rollout.answer, rollouts: [view], style })
    })
    const lead = `Ground: whether the active teacher’s score of the token falls with another picture (cᴵ) or with wrong answers (cᴬ); none where both together are below ${leastOwed} nats. Underline: the active teacher, thicker the further it is from the student, |log q − log p| (here: loss). Malformed rollouts have no PALR.`
    return { title, lead, body: html`${tokenLegend(style)}${cards}` }
  }
  if (dependency === null) return null
  return {
    ...{ title, lead: 'Ground: visual dependency, how much the teacher’s distribution changes when the picture is taken away.' },
    body: html`${dependencyLegend()}${shown.map((rollout) => dependencyCard(rollout, verdictOf(rollout)))}`,
  }
}
