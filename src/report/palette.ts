// The colours of all charts, tables and tokens in one place. The tests hold them to their contrast and to how far apart they stay for people
// who do not see red, green or blue; charts add a form to every colour all the same.

/** The same thing on light and on dark ground, as #rrggbb. */
export interface Colour {
  readonly light: string
  readonly dark: string
}

/** Ground, ink and the shades between them. */
export const shades = {
  paper: { light: '#fdfcfa', dark: '#17181a' },
  ink: { light: '#1f1e1c', dark: '#e9e7e2' },
  muted: { light: '#65625c', dark: '#a5a29b' },
  rule: { light: '#dbd8d0', dark: '#3b3c3f' },
  wash: { light: '#f3f1ec', dark: '#212225' },
} as const satisfies { readonly [name: string]: Colour }

/** Of series, segments and teachers, in the order in which they are given out: blue, vermilion, green, purple, ochre, slate. */
export const seriesColours: readonly Colour[] = [
  { light: '#094f99', dark: '#5394d6' },
  { light: '#c2410c', dark: '#f4854a' },
  { light: '#0e8160', dark: '#36c899' },
  { light: '#ab4088', dark: '#d98dc2' },
  { light: '#867337', dark: '#e1c24a' },
  { light: '#4b5360', dark: '#c0c1c6' },
]
