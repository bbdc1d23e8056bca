// Reads operator schemas twice from the same text: at run time into a parser of arguments, in the type checker into a signature.
// The text is PyTorch's own: `add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor`. A default may be added where the
// library has none; it is then passed explicitly.

import { ArgumentError } from '../errors.ts'
import type { Device, DType } from './dtype.ts'
import type { Generator } from './random.ts'
import type { Tensor } from './tensor.ts'

// ---- in the type checker ------------------------------------------------------------------------------------------------------

interface Plain {
  Tensor: Tensor
  Scalar: number | bigint | boolean
  int: number
  float: number
  bool: boolean
  ScalarType: DType
  Device: Device
  Generator: Generator
  str: string
}

type ArgumentType<T extends string> = T extends `${infer Base}?`
  ? ArgumentType<Base> | null
  : T extends 'Tensor?[]'
    ? readonly (Tensor | null)[]
    : T extends `Tensor(${string})` | `Tensor(${string})[]`
      ? T extends `${string}[]`
        ? readonly Tensor[]
        : Tensor
      : T extends `${infer Base}[${infer Length}]`
        ? Length extends ''
          ? readonly ArgumentType<Base>[]
          : ArgumentType<Base> | readonly ArgumentType<Base>[]
        : T extends keyof Plain
          ? Plain[T]
          : never

type Split<S extends string> = S extends `${infer Head}, ${infer Tail}` ? [Head, ...Split<Tail>] : S extends '' ? [] : [S]

type Positional<Parts extends string[]> = Parts extends [infer Head extends string, ...infer Tail extends string[]]
  ? Head extends '*'
    ? []
    : Head extends `${infer Type} ${string}=${string}`
      ? [ArgumentType<Type>?, ...Positional<Tail>]
      : Head extends `${infer Type} ${string}`
        ? [ArgumentType<Type>, ...Positional<Tail>]
        : never
  : []

type AfterStar<Parts extends string[]> = Parts extends [infer Head extends string, ...infer Tail extends string[]]
  ? Head extends '*'
    ? Tail
    : AfterStar<Tail>
  : []

type Options<Parts extends string[]> = {
  [P in Parts[number] as P extends `${string} ${infer Name}=${string}` ? Name : never]?: P extends `${infer Type} ${string}=${string}`
    ? ArgumentType<Type> | undefined
    : never
} & {
  [P in Parts[number] as P extends `${string}=${string}`
    ? never
    : P extends `${string} ${infer Name}`
      ? Name
      : never]: P extends `${infer Type} ${string}` ? ArgumentType<Type> : never
}

type Parameters_<Parts extends string[]> =
  AfterStar<Parts> extends []
    ? Positional<Parts>
    : Record<string, never> extends Options<AfterStar<Parts>>
      ? [...Positional<Parts>, options?: Options<AfterStar<Parts>>]
      : [...Positional<Parts>, options: Options<AfterStar<Parts>>]

type Tensors<Parts> = { [I in keyof Parts]: Tensor }

type ResultType<T extends string> = T extends '()'
  ? undefined
  : T extends 'Tensor' | `Tensor(${string})`
    ? Tensor
    : T extends 'Tensor[]'
      ? Tensor[]
      : T extends 'bool'
        ? boolean
        : T extends `(${infer Parts})`
          ? Tensors<Split<Parts>>
          : never

type OneSignature<S extends string> = S extends `${string}(${infer Arguments}) -> ${infer Result}`
  ? (...args: Parameters_<Split<Arguments>>) => ResultType<Result>
  : never

/** The function type of a schema, or of several schemas that one name stands for (told apart by their arguments' types). */
export type Signature<S> = S extends string
  ? OneSignature<S>
  : S extends readonly [infer First extends string, infer Second extends string]
    ? (...args: Parameters<OneSignature<First>> | Parameters<OneSignature<Second>>) => ReturnType<OneSignature<First>>
    : never

/** Distributes over the argument lists of several schemas. */
type WithoutFirst<A> = A extends [unknown, ...infer Rest] ? Rest : never

type WithoutSelf<F> = F extends (...args: infer A) => infer R ? (...args: WithoutFirst<A>) => R : never

type FirstSchema<S> = S extends readonly [infer First, ...unknown[]] ? First : S

/** The operators whose first argument is `self`, as methods. */
export type Methods<List> = {
  [K in keyof List as FirstSchema<List[K]> extends `${string}(Tensor self${string}` | `${string}(Tensor(${string}) self${string}`
    ? K
    : never]: WithoutSelf<Signature<List[K]>>
}

// ---- at run time --------------------------------------------------------------------------------------------------------------

export type Kind = 'Tensor' | 'Scalar' | 'int' | 'float' | 'bool' | 'ScalarType' | 'Device' | 'Generator' | 'str'

export interface SchemaArgument {
  readonly name: string
  /** As written, for error texts. */
  readonly type: string
  readonly kind: Kind
  readonly list: boolean
  /** Of an `int[2]`: a single value may stand for the list. */
  readonly fixedLength: boolean
  readonly optional: boolean
  /** Whether an element of the list may be null (`Tensor?[]`). */
  readonly optionalElement: boolean
  readonly keywordOnly: boolean
  readonly hasDefault: boolean
  readonly defaultValue: unknown
}

export interface Schema {
  readonly text: string
  readonly namespace: string
  readonly name: string
  readonly overload: string
  readonly arguments: readonly SchemaArgument[]
  readonly positional: number
  /** The operator changes its first argument in place and returns it. */
  readonly returnsSelf: boolean
}

const argumentPattern = /^(Tensor|Scalar|int|float|bool|ScalarType|Device|Generator|str)(\([a-z]!?\))?(\?)?(\[\d*\])?(\?)? (\w+)(=(.+))?$/

function parseDefault(text: string): unknown {
  if (text === 'None') return null
  if (text === 'True') return true
  if (text === 'False') return false
  if (text.startsWith('[')) return text.slice(1, -1).split(',').filter(Boolean).map(Number)
  if (text.startsWith("'")) return text.slice(1, -1)
  const number = Number(text)
  return Number.isNaN(number) ? text : number
}

/** Parses one line of the schema list. A line that does not follow the grammar is an `ArgumentError`. */
export function parseSchema(text: string): Schema {
  const match = /^(?:(\w+)::)?(\w+)(?:\.(\w+))?\((.*)\) -> (.+)$/.exec(text)
  if (!match) throw new ArgumentError(`not an operator schema: "${text}"; write name.overload(Type argument, …) -> Type`)
  const [, namespace = 'aten', name = '', overload = '', list = '', result = ''] = match
  const parts = list === '' ? [] : list.split(', ')
  const star = parts.indexOf('*')
  const arguments_ = parts
    .filter((part) => part !== '*')
    .map((part, index): SchemaArgument => {
      const found = argumentPattern.exec(part)
      if (!found) throw new ArgumentError(`not an argument of an operator schema: "${part}" in "${text}"`)
      const [, kind = '', , elementOptional, brackets, listOptional, argument = '', , defaultText] = found
      return {
        name: argument,
        type: part.slice(0, part.indexOf(' ')),
        kind: kind as Kind,
        list: brackets !== undefined,
        fixedLength: brackets !== undefined && brackets !== '[]',
        optional: listOptional !== undefined || (elementOptional !== undefined && brackets === undefined),
        optionalElement: elementOptional !== undefined && brackets !== undefined,
        keywordOnly: star >= 0 && index >= star,
        hasDefault: defaultText !== undefined,
        defaultValue: defaultText === undefined ? undefined : parseDefault(defaultText),
      }
    })
  return {
    text,
    namespace,
    name,
    overload,
    arguments: arguments_,
    positional: star < 0 ? arguments_.length : star,
    returnsSelf: result.startsWith('Tensor('),
  }
}
