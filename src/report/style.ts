// The look of reports: one style sheet that goes into the page itself.
//
// Text is set in the reader's own serif, numbers and labels in their sans; colours are variables, so that a figure is right on light, on dark
// and on paper without being drawn again. Boxes ask for their own width, not the window's, which also serves figures side by side.

import { type Colour, seriesColours, shades } from './palette.ts'
import { lossSteps, shareGrades } from './token-scale.ts'

const variables = (mode: keyof Colour): string =>
  [
    ...Object.entries(shades).map(([name, colour]) => `--${name}:${colour[mode]}`),
    ...seriesColours.map((colour, i) => `--c${i}:${colour[mode]}`),
    `--tint:${mode === 'light' ? '15%' : '26%'}`,
  ].join(';')

/** Rules that exist once for each colour. */
const byColour = seriesColours
  .map((_, i) => `.s${i}{--c:var(--c${i})}.b${i}{background:color-mix(in srgb,var(--c${i}) var(--tint),transparent)}.u${i}{--u:var(--c${i})}`)
  .join('\n')

const grades = Array.from(
  { length: shareGrades + 1 },
  (_, i) =>
    `.m${i}{background:color-mix(in srgb,color-mix(in oklab,var(--c0) ${(100 * i) / shareGrades}%,var(--c1)) calc(1.6*var(--tint)),transparent)}`,
).join('\n')

/** The line under a token: a hairline below the first step, then a pixel more at each. */
const underlines = [0, ...lossSteps]
  .map((_, i) => `.w${i}{box-shadow:inset 0 -${Math.max(1, i)}px 0 ${i === 0 ? 'color-mix(in srgb,var(--u) 45%,transparent)' : 'var(--u)'}}`)
  .join('\n')

const text = `
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0 auto;padding:2.5rem clamp(1rem,4vw,3rem) 4rem;max-width:70rem;background:var(--paper);color:var(--ink);font:1.0625rem/1.55 var(--serif);
  font-variant-numeric:lining-nums;overflow-wrap:break-word}
h1,h2,h3,h4,p,figure,dl,ul,ol{margin:0}
h1{font:600 clamp(1.7rem,1.2rem + 2vw,2.4rem)/1.15 var(--serif);letter-spacing:-.012em;text-wrap:balance;max-width:44rem}
.subtitle{margin-top:.6rem;color:var(--muted);max-width:42rem;font-size:1.125rem;line-height:1.5}
h2{font:600 1.35rem/1.25 var(--serif);letter-spacing:-.006em;text-wrap:balance}
h3{font:600 1.0625rem/1.35 var(--serif);margin-top:1.75rem}
h4{font:600 .8125rem/1.4 var(--sans);margin-bottom:.35rem}
section{margin-top:2.75rem;padding-top:1.1rem;border-top:1px solid var(--rule)}
p{max-width:42rem}
section>p{margin-top:.75rem}
p.lead{margin-top:.4rem;color:var(--muted)}
a{color:inherit;text-decoration-color:var(--muted);text-underline-offset:.15em}
code{font:.9em var(--mono)}
nav{margin-top:1.5rem;font:.875rem/1.5 var(--sans)}
nav ol{padding:0;list-style:none;display:flex;flex-wrap:wrap;gap:.15rem 1.4rem}
nav a{color:var(--muted);text-decoration:none}
nav a:hover{text-decoration:underline}
footer{margin-top:3.5rem;padding-top:1rem;border-top:1px solid var(--rule);color:var(--muted);font:.8125rem/1.55 var(--sans)}
footer p+p{margin-top:.4rem}
.note{margin-top:.5rem;font:.8125rem/1.5 var(--sans);color:var(--muted);max-width:42rem}
.key{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:1.1rem 2rem;margin-top:1.75rem}
.key>div{border-top:2px solid var(--ink);padding-top:.45rem}
.key dt{font:.8125rem/1.35 var(--sans);color:var(--muted)}
.key dd{margin:.1rem 0 0}
.key b{display:block;font:600 1.75rem/1.2 var(--serif);font-variant-numeric:lining-nums tabular-nums;letter-spacing:-.01em}
.key span{font:.8125rem/1.4 var(--sans);color:var(--muted)}
details{margin-top:1.25rem}
summary{cursor:pointer;font:600 .875rem/1.5 var(--sans);color:var(--muted)}
summary:hover{color:var(--ink)}
:focus-visible{outline:2px solid var(--c0);outline-offset:2px}`

const figures = `
figure{margin-top:1.75rem;container-type:inline-size;break-inside:avoid}
figcaption{font:.875rem/1.45 var(--sans);margin-bottom:.7rem;max-width:45rem}
figcaption b{display:block;font-weight:650;font-size:.9375rem}
figcaption span{color:var(--muted)}
.whole .wide{max-width:45rem}
.half .wide{max-width:30rem}
.narrow{display:none;max-width:26rem}
@container (max-width:38rem){.whole .wide{display:none}.whole .narrow{display:block}}
@container (max-width:25rem){.half .wide{display:none}.half .narrow{display:block}}
@container (min-width:60rem){.sheet{display:grid;grid-template-columns:45rem 1fr;column-gap:2.25rem}.sheet figcaption{grid-column:1/3}.sheet .note{margin-top:0}}
.beside{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:0 2.5rem;align-items:start}
svg.chart{display:block;width:100%;height:auto;font:12px var(--sans);font-variant-numeric:tabular-nums;overflow:visible}
svg text{fill:var(--ink);paint-order:stroke;stroke:var(--paper);stroke-width:3px;stroke-linejoin:round}
svg .middle{text-anchor:middle}svg .end{text-anchor:end}svg .start{text-anchor:start}
svg .tick text,svg .axis,svg .remark{fill:var(--muted)}
svg .group{font-weight:650}
svg .name{fill:var(--c);font-weight:650}
svg .grid{stroke:var(--rule)}
svg .zero{stroke:var(--ink)}
svg .leader{stroke:var(--rule)}
svg .reference{stroke:var(--muted);stroke-dasharray:3 3}
svg .line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
svg .thin{stroke-width:1.25;stroke-opacity:.75}
svg .band{fill:var(--c);fill-opacity:.14}
svg .interval{stroke:var(--c);stroke-width:2;stroke-linecap:round}
svg .plain{--c:var(--muted)}
svg .point{fill:var(--c,var(--ink));stroke:var(--paper);stroke-width:1}
svg .bar{fill:var(--c);fill-opacity:.82}
svg .bin{fill:var(--c);fill-opacity:.22}
svg .whisker{stroke:var(--ink);stroke-width:1.25}
svg .faint{opacity:.32}`

const tables = `
.tablebox{margin-top:1.75rem;break-inside:avoid}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font:.875rem/1.4 var(--sans);font-variant-numeric:tabular-nums lining-nums;border-bottom:1px solid var(--ink);min-width:min(100%,30rem)}
caption{text-align:left;margin-bottom:.5rem;font-weight:650;font-size:.9375rem}
caption span{position:sticky;left:0;display:inline-block;max-width:min(45rem,calc(100vw - 2.5rem))}
th,td{padding:.3rem 0 .3rem 1.5rem;text-align:left;vertical-align:baseline;font-weight:400;white-space:nowrap}
th:first-child,td:first-child{padding-left:0;padding-right:.5rem;white-space:normal;min-width:8rem;position:sticky;left:0;background:var(--paper)}
thead th{color:var(--muted);border-bottom:1px solid var(--ink);vertical-align:bottom;font-size:.8125rem}
tbody tr+tr>*{border-top:1px solid var(--rule)}
.number{text-align:right}
.ci{display:inline-block;min-width:7.2em;padding-left:.45em;text-align:left;color:var(--muted);font-size:.8125rem}
thead .number:not(:first-child){padding-right:0}
tbody tr.emphasis>*{background:var(--wash)}
tr.emphasis th{font-weight:650}
tbody b{font-weight:700}
tr.group th{padding-top:.9rem;color:var(--muted);font-size:.8125rem}
tr.group th span{position:sticky;left:0}`

const tokens = `
.tokens{font:.875rem/2 var(--mono);white-space:pre-wrap;overflow-wrap:anywhere}
.tokens span{padding:.12em 0 .22em;border-radius:2px;margin-right:1px;unicode-bidi:isolate;-webkit-box-decoration-break:clone;box-decoration-break:clone;
  print-color-adjust:exact;-webkit-print-color-adjust:exact}
.tokens .g{color:var(--muted)}
.tokens .cl{text-decoration:overline dotted;text-decoration-thickness:1.5px}
.tokens .shut{opacity:.5}
.tokens i{font-style:normal;color:var(--muted)}
.tokens .nl::before{content:"↵"}
.tokens .tab{background:linear-gradient(var(--muted),var(--muted)) center/100% 1px no-repeat;opacity:.7}
.tokens .sp{background:radial-gradient(circle,var(--muted) 1px,transparent 1.4px) center/100% 100% no-repeat}
.tokens .none::before{content:"∅"}
.tokenkey{display:flex;flex-wrap:wrap;gap:.1rem 1.4rem;padding:0;margin-top:1.25rem;list-style:none;font-size:.8125rem;font-family:var(--sans);white-space:normal}
.tokenkey span{padding-left:.4em;padding-right:.4em}
.rollout{margin-top:1.5rem;padding-top:1.25rem;border-top:1px solid var(--rule);display:grid;grid-template-columns:10.5rem minmax(0,1fr);gap:1rem 2rem;break-inside:avoid}
.asked{font:.8125rem/1.45 var(--sans)}
.asked img{display:block;width:100%;max-width:10.5rem;height:auto;margin-bottom:.6rem;border:1px solid var(--rule)}
.pixels{image-rendering:pixelated}
.problem{white-space:pre-wrap}
.answer{margin-top:.35rem;color:var(--muted)}
.answer b{color:var(--ink)}
.written{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,15rem),1fr));gap:1.25rem 1.5rem;align-items:start}
.right{color:var(--c2)}.wrong{color:var(--c1)}.open{color:var(--muted)}
@media (max-width:40rem){.rollout{grid-template-columns:minmax(0,1fr)}.asked:has(img){display:grid;grid-template-columns:6rem 1fr;grid-template-rows:auto 1fr;gap:0 1rem}.asked img{grid-row:1/3}}`

const paper = `
@media print{body{padding:0;max-width:none;font-size:10.5pt}section{break-before:auto}h2,h3,figcaption{break-after:avoid}nav{display:none}
  .scroll{overflow:visible}details::details-content{content-visibility:visible;block-size:auto}}`

/** The whole style sheet. */
export function styleSheet(): string {
  return `:root{color-scheme:light dark;${variables('light')};--serif:Charter,"Bitstream Charter","Iowan Old Style","Palatino Linotype",Palatino,Georgia,"Liberation Serif",serif;
--sans:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;--mono:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
@media screen and (prefers-color-scheme:dark){:root{${variables('dark')}}}${text}${figures}${tables}${tokens}
${byColour}
${grades}
${underlines}${paper}
`
}
