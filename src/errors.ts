// One error class per kind of failure: the message says what was given, what is allowed and what to do.

/** The parent of every error that Sightline raises on purpose. */
export class SightlineError extends Error {
  override get name(): string {
    return this.constructor.name
  }
}

/** libtorch, or the addon that calls it, is missing or does not fit. The message names the ways to get it. */
export class EngineError extends SightlineError {}

/** An operator was called with arguments that it does not take, or it failed on them. */
export class OperatorError extends SightlineError {
  /** The operator's name in the schema list, such as `matmul`. */
  readonly operator: string
  constructor(operator: string, reason: string, got: string, takes: readonly string[], cause?: unknown) {
    const lines = [`${operator}: ${reason}`, `  got:   ${got}`, ...takes.map((schema) => `  takes: ${schema}`)]
    super(lines.join('\n'), { cause })
    this.operator = operator
  }
}

/** A tensor was used after its scope ended or after it was disposed. */
export class UseAfterFreeError extends SightlineError {}

/** A value outside what a function accepts. */
export class ArgumentError extends SightlineError {}

/** A file that is truncated, lies about its contents, or cannot be read. The message names file, entry and reason. */
export class FileFormatError extends SightlineError {}

/** A computation gave numbers that are not finite. */
export class NotFiniteError extends SightlineError {}

/** A file could not be written: the disk is full, or the folder may not be written. */
export class StorageError extends SightlineError {}
