// Turns the schema list into functions, and into the methods of Tensor. A failed call becomes an error that names the operator, what
// it got and what it takes.

import { OperatorError } from '../errors.ts'
import { adopt, type Context, currentContext, engineFor } from './context.ts'
import { dtypeNames, dtypeOf, dtypes, isDevice, isDType } from './dtype.ts'
import { type NativeOperator, native } from './native.ts'
import { Generator } from './random.ts'
import { type Kind, parseSchema, type Schema, type SchemaArgument, type Signature } from './schema.ts'
import { schemas } from './schemas.ts'
import { Tensor } from './tensor.ts'

/** A value in words, for error texts. */
function describe(value: unknown, depth = 0): string {
  if (value instanceof Tensor) return value.toString()
  if (value instanceof Generator) return 'a generator'
  if (Array.isArray(value)) {
    if (depth > 1) return '[…]' // also ends a list that holds itself
    const shown = value.slice(0, 8).map((each) => describe(each, depth + 1))
    return `[${shown.join(', ')}${value.length > 8 ? `, … ${value.length} in all` : ''}]`
  }
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40))
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'object' && value !== null) return `an object with ${Object.keys(value).slice(0, 6).join(', ') || 'no properties'}`
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`
  return String(value)
}

const rules: { readonly [K in Kind]: { readonly expected: string; accepts(value: unknown): boolean } } = {
  Tensor: { expected: 'a Tensor', accepts: (value) => value instanceof Tensor },
  Scalar: {
    expected: 'a number, bigint or boolean',
    accepts: (value) => typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint',
  },
  int: { expected: 'an integer', accepts: Number.isSafeInteger },
  float: { expected: 'a number', accepts: (value) => typeof value === 'number' },
  bool: { expected: 'a boolean', accepts: (value) => typeof value === 'boolean' },
  ScalarType: { expected: `a dtype (${dtypeNames.join(', ')})`, accepts: isDType },
  Device: { expected: "a device ('cpu', 'cuda' or 'cuda:N')", accepts: isDevice },
  Generator: { expected: 'a Generator', accepts: (value) => value instanceof Generator },
  str: { expected: 'a string', accepts: (value) => typeof value === 'string' },
}

/** What is wrong with a value for an argument; null when nothing is. */
function mismatch(argument: SchemaArgument, value: unknown): string | null {
  if (value === null || value === undefined) return argument.optional ? null : 'is missing'
  const rule = rules[argument.kind]
  if (!argument.list) return rule.accepts(value) ? null : `must be ${rule.expected}, got ${describe(value)}`
  if (Array.isArray(value)) {
    const index = value.findIndex((element) => !(rule.accepts(element) || (argument.optionalElement && element === null)))
    return index < 0 ? null : `must hold only elements that are ${rule.expected}, got ${describe(value[index])} at index ${index}`
  }
  if (argument.fixedLength && rule.accepts(value)) return null
  return `must be an array of which each element is ${rule.expected}, got ${describe(value)}`
}

/** A value that passed `mismatch`, as the addon takes it. */
function encodeOne(kind: Kind, value: unknown, use: string): unknown {
  if (kind === 'Tensor') return value === null ? null : (value as Tensor).live(use)
  if (kind === 'ScalarType') return dtypes[value as keyof typeof dtypes].code
  if (kind === 'Generator') return (value as Generator).live(use)
  return value
}

function encode(argument: SchemaArgument, value: unknown, use: string): unknown {
  if (value === null || value === undefined) return null
  if (argument.list && Array.isArray(value)) {
    return argument.kind === 'int' ? value : value.map((element) => encodeOne(argument.kind, element, use))
  }
  return encodeOne(argument.kind, value, use)
}

function isOptions(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Places what the caller gave along a schema's arguments; a string says why that is not possible. */
function arrange(schema: Schema, given: readonly unknown[]): unknown[] | string {
  const { arguments: arguments_, positional } = schema
  let count = given.length
  let options: Record<string, unknown> = {}
  if (positional < arguments_.length && count > 0 && isOptions(given[count - 1])) options = given[--count] as Record<string, unknown>
  if (count > positional) return `takes at most ${positional} positional arguments, got ${count}`
  const values: unknown[] = new Array(arguments_.length)
  let used = 0
  for (let i = 0; i < arguments_.length; i++) {
    const argument = arguments_[i] as SchemaArgument
    let value = i < positional ? (i < count ? given[i] : undefined) : options[argument.name]
    if (i >= positional && Object.hasOwn(options, argument.name)) used++
    if (value === undefined && argument.hasDefault) value = argument.defaultValue
    values[i] = value
  }
  if (used < Object.keys(options).length) {
    const unknown = Object.keys(options).find((name) => !arguments_.some((argument) => argument.keywordOnly && argument.name === name))
    return `has no option \`${unknown}\``
  }
  return values
}

const boolMask = ([, mask]: readonly unknown[]): string | null =>
  native().facts(mask as number)[0] === dtypes.bool.code ? null : '`mask` must be bool'

/** What libtorch does not refuse although it should, by operator: from the encoded arguments, the reason. */
const refusals: { readonly [name: string]: (encoded: readonly unknown[]) => string | null } = {
  // PyTorch 2.11 divides by an int64 step that it has truncated to 0, which ends the process.
  arange: ([, , step, dtype]) =>
    typeof step === 'number' && Math.abs(step) < 1 && !dtypes[dtypeOf(dtype as number)].floating
      ? 'step must be nonzero, and of integers at least 1'
      : null,
  // libtorch 1.13 takes any mask and looks at the lowest byte of its elements.
  maskedFill: boolMask,
  maskedFill_: boolMask,
  // Its gradient is infinite in every release up to 2.11.
  variance: ([, dim]) => (Array.isArray(dim) && dim.length === 0 ? '`dim` names no axis; null is all of them' : null),
}

/** A schema with what a call needs ready: for each argument an encoder, and its default as the addon takes it. */
interface Overload {
  readonly schema: Schema
  readonly encoders: readonly ((value: unknown) => unknown)[]
  readonly defaults: readonly unknown[]
  /** How many tensors come first, where all the rest has defaults: the commonest calls pass just these. */
  readonly tensors: number
  /** The arguments of the call under way, reused from call to call. */
  readonly encoded: unknown[]
  call: NativeOperator | undefined
}

const unfit = Symbol('unfit')

/** A function that encodes a value of an argument, or says `unfit` without saying why: the slow path finds the reason. */
function encoderOf(argument: SchemaArgument, use: string): (value: unknown) => unknown {
  if (argument.kind === 'Tensor' && !argument.list) {
    return (value) => {
      if (value instanceof Tensor) return value.handle === 0 ? unfit : value.handle
      return value === null && argument.optional ? null : unfit
    }
  }
  if (argument.kind === 'Scalar') return (value) => (typeof value === 'number' ? value : unfit)
  return (value) => (mismatch(argument, value) === null ? encode(argument, value, use) : unfit)
}

function overloadOf(text: string, use: string): Overload {
  const schema = parseSchema(text)
  const isTensor = ({ kind, list, hasDefault }: SchemaArgument): boolean => kind === 'Tensor' && !list && !hasDefault
  const firstOther = schema.arguments.findIndex((each) => !isTensor(each))
  const tensors = firstOther < 0 ? schema.arguments.length : firstOther
  return {
    tensors: schema.arguments.slice(tensors).every((each) => each.hasDefault) ? tensors : -1,
    schema,
    encoders: schema.arguments.map((argument) => encoderOf(argument, use)),
    defaults: schema.arguments.map((each) => (each.hasDefault ? encode(each, each.defaultValue, use) : unfit)),
    encoded: new Array(schema.arguments.length),
    call: undefined,
  }
}

/** Encodes positional arguments into `overload.encoded`; false where anything is out of the ordinary. */
function encodeQuickly(overload: Overload, given: readonly unknown[]): boolean {
  const { encoders, defaults, encoded, schema, tensors } = overload
  if (given.length === tensors) {
    let i = 0
    for (; i < tensors; i++) {
      const value = given[i]
      if (!(value instanceof Tensor) || value.handle === 0) return false
      encoded[i] = value.handle
    }
    for (; i < encoded.length; i++) encoded[i] = defaults[i]
    return true
  }
  if (given.length > schema.positional) return false
  for (let i = 0; i < encoded.length; i++) {
    const value = i < given.length ? given[i] : undefined
    const code = value === undefined ? defaults[i] : (encoders[i] as (value: unknown) => unknown)(value)
    if (code === unfit) return false
    encoded[i] = code
  }
  return true
}

function resolve({ schema, defaults }: Overload): NativeOperator {
  const names = schema.arguments.map((argument) => argument.name)
  const values = defaults.map((value) => (value === unfit ? undefined : value))
  return native().operator(`${schema.namespace}::${schema.name}`, schema.overload, names, values)
}

function firstMismatch(schema: Schema, values: readonly unknown[]): string | null {
  for (let i = 0; i < values.length; i++) {
    const argument = schema.arguments[i] as SchemaArgument
    const problem = mismatch(argument, values[i])
    if (problem !== null) return `argument \`${argument.name}\` ${problem}`
  }
  return null
}

/** Calls without a spread where arguments are few: most calls, and twice as fast. */
function apply(call: NativeOperator, args: readonly unknown[], count: number): unknown {
  switch (count) {
    case 1:
      return call(args[0])
    case 2:
      return call(args[0], args[1])
    case 3:
      return call(args[0], args[1], args[2])
    default:
      return call(...args)
  }
}

interface Runner {
  run(given: readonly unknown[]): unknown
  /** The same for two tensors and nothing else, the commonest call, without a list of arguments. */
  pair(a: Tensor, b: Tensor): unknown
}

/** What runs an entry of the schema list on its arguments. */
function runner(name: string, list: readonly string[]): Runner {
  const overloads = list.map((text) => overloadOf(text, name))
  const refuse = refusals[name]

  function fail(reason: string, given: readonly unknown[], cause?: unknown): never {
    throw new OperatorError(name, reason, given.length === 0 ? 'nothing' : given.map((each) => describe(each)).join(', '), list, cause)
  }

  /** The overload that the arguments fit, encoded; an error tells the first reason of the first overload. */
  function choose(given: readonly unknown[]): Overload {
    for (const overload of overloads) if (encodeQuickly(overload, given)) return overload
    let reason: string | undefined
    for (const overload of overloads) {
      const { schema, encoded } = overload
      const values = arrange(schema, given)
      const problem = typeof values === 'string' ? values : firstMismatch(schema, values)
      if (problem === null) {
        for (let i = 0; i < encoded.length; i++) encoded[i] = encode(schema.arguments[i] as SchemaArgument, values[i], name)
        return overload
      }
      reason ??= problem
    }
    return fail(reason ?? 'no overload', given)
  }

  /** The engine's error, told as the operator's; anything else is a defect and passes as it is. */
  function explain(error: unknown, given: readonly unknown[]): never {
    if (typeof (error as { code?: unknown }).code !== 'string') throw error
    return fail((error as Error).message, given, error)
  }

  function wrap(result: unknown, context: Context): unknown {
    if (typeof result === 'number') return adopt(result, name, context)
    if (Array.isArray(result)) return result.map((handle: number) => adopt(handle, name, context))
    return result
  }

  function run(given: readonly unknown[]): unknown {
    const overload = choose(given)
    const refusal = refuse?.(overload.encoded)
    if (typeof refusal === 'string') fail(refusal, given)
    const context = currentContext()
    const engine = engineFor(context)
    let result: unknown
    try {
      overload.call ??= resolve(overload)
      const { call, encoded, tensors } = overload
      // Just tensors, and the rest as the library would have it: the shortest call.
      result = apply(call, encoded, given.length === tensors && call.least <= tensors ? tensors : encoded.length)
    } catch (error) {
      return explain(error, given)
    }
    if (!overload.schema.returnsSelf) return wrap(result, context)
    engine.release(Int32Array.of(result as number), 1)
    return given[0]
  }

  const [first] = overloads as [Overload, ...Overload[]]
  const plainPair = first.tensors === 2 && !first.schema.returnsSelf && refuse === undefined

  function pair(a: Tensor, b: Tensor): unknown {
    const { call } = first
    if (!plainPair || call === undefined || call.least > 2 || a.handle === 0 || b.handle === 0) return run([a, b])
    const context = currentContext()
    engineFor(context)
    let result: unknown
    try {
      result = call(a.handle, b.handle)
    } catch (error) {
      return explain(error, [a, b])
    }
    return wrap(result, context)
  }

  return { run, pair }
}

function schemaList(texts: string | readonly string[]): readonly string[] {
  return typeof texts === 'string' ? [texts] : texts
}

/** Makes the function of a schema, or of two that are told apart by their arguments: for operators that the list lacks. */
export function operator<const S extends string | readonly [string, string]>(name: string, texts: S): Signature<S> {
  const { run } = runner(name, schemaList(texts))
  return ((...given: unknown[]) => run(given)) as unknown as Signature<S>
}

type Operators = { readonly [K in keyof typeof schemas]: Signature<(typeof schemas)[K]> }

const runners = new Map(Object.entries(schemas).map(([name, texts]) => [name, runner(name, schemaList(texts))]))

/** Every operator as a function, by its name in the schema list. Those with `self` first are also methods of `Tensor`. */
export const ops = Object.fromEntries(Array.from(runners, ([name, { run }]) => [name, (...given: unknown[]) => run(given)])) as unknown as Operators

/** Whether this libtorch has an operator (any of its schemas): some are younger than others. */
export function supports(name: keyof typeof schemas): boolean {
  return schemaList(schemas[name]).some((text) => {
    try {
      resolve(overloadOf(text, name))
      return true
    } catch (error) {
      if ((error as { code?: unknown }).code === 'SIGHTLINE_ARGUMENT') return false
      throw error
    }
  })
}

for (const [name, { run, pair }] of runners) {
  const [self] = parseSchema(schemaList(schemas[name as keyof Operators])[0] as string).arguments
  if (self?.name !== 'self' || self.list) continue
  Object.defineProperty(Tensor.prototype, name, {
    configurable: true,
    writable: true,
    // Spelt out for few arguments, which spares most calls a list or two.
    value(this: Tensor, a?: unknown, b?: unknown, ...more: unknown[]): unknown {
      if (b === undefined && more.length === 0 && a instanceof Tensor) return pair(this, a)
      if (more.length > 0) return run([this, a, b, ...more])
      if (b !== undefined) return run([this, a, b])
      return run(a === undefined ? [this] : [this, a])
    },
  })
}
