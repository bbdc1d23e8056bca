// What PriorWorld is made of: things, each with one attribute that everybody expects of it, and the values that attributes can have.

/** What is said of a thing in a picture. Each can be asked for. */
export const values = {
  count: ['one', 'two', 'three'],
  size: ['big', 'small'],
  colour: ['yellow', 'red', 'green', 'purple', 'orange', 'blue', 'black', 'white'],
} as const

export type Attribute = keyof typeof values
export const attributes = Object.keys(values) as readonly Attribute[]

/** What a thing usually is: a banana is yellow, an elephant big, shoes come in twos. */
export interface Kind {
  readonly name: string
  /** In game-icons (https://game-icons.net, CC BY 3.0). */
  readonly icon: string
  readonly attribute: Attribute
  readonly typical: string
}

export const kinds = [
  { name: 'banana', icon: 'banana', attribute: 'colour', typical: 'yellow' },
  { name: 'tomato', icon: 'tomato', attribute: 'colour', typical: 'red' },
  { name: 'frog', icon: 'frog', attribute: 'colour', typical: 'green' },
  { name: 'aubergine', icon: 'aubergine', attribute: 'colour', typical: 'purple' },
  { name: 'carrot', icon: 'carrot', attribute: 'colour', typical: 'orange' },
  { name: 'whale', icon: 'sperm-whale', attribute: 'colour', typical: 'blue' },
  { name: 'spider', icon: 'spider-alt', attribute: 'colour', typical: 'black' },
  { name: 'snowman', icon: 'snowman', attribute: 'colour', typical: 'white' },
  { name: 'elephant', icon: 'elephant', attribute: 'size', typical: 'big' },
  { name: 'ant', icon: 'ant', attribute: 'size', typical: 'small' },
  { name: 'shoe', icon: 'running-shoe', attribute: 'count', typical: 'two' },
  { name: 'key', icon: 'key', attribute: 'count', typical: 'one' },
] as const satisfies readonly Kind[]

export const kindOf = (name: string): Kind => {
  const found = kinds.find((kind) => kind.name === name)
  if (found === undefined) throw new Error(`there is no ${name} in this world`)
  return found
}

/** Quarters of a picture, by row and column. */
export const places = ['top left', 'top right', 'bottom left', 'bottom right'] as const
export type Place = (typeof places)[number]

/** How a colour is drawn; every thing varies it a little. */
export const paints: Readonly<Record<(typeof values.colour)[number], readonly [hue: number, saturation: number, lightness: number]>> = {
  yellow: [54, 95, 55],
  red: [357, 85, 45],
  green: [118, 65, 34],
  purple: [285, 60, 42],
  orange: [27, 95, 53],
  blue: [218, 85, 50],
  black: [0, 0, 6],
  white: [0, 0, 98],
}
