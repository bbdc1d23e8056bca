// JSON Merge Patch (RFC 7396): how a configuration changes the table of a method without copying it.

export type JsonObject = { readonly [name: string]: unknown }

export const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value)

/** The members of `over` merged by `merge` into those of `base`; undefined leaves one out. Names such as __proto__ are names like others. */
function merged(base: JsonObject, over: JsonObject, merge: (old: unknown, next: unknown) => unknown): JsonObject {
  const members = new Map(Object.entries(base))
  for (const [name, next] of Object.entries(over)) {
    const value = merge(members.get(name), next)
    if (value === undefined) members.delete(name)
    else members.set(name, value)
  }
  return Object.fromEntries(members)
}

/**
 * `target` with `patch` applied: objects are merged member by member, null removes a member, anything else takes the place of what was
 * there. Neither argument is changed.
 */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  return merged(isObject(target) ? target : {}, patch, (old, next) => (next === null ? undefined : mergePatch(old, next)))
}

/** `base` under `over`: as a merge patch, but null is a value like others, since it means something in a configuration. */
export function overlay(base: unknown, over: unknown): unknown {
  if (!isObject(base) || !isObject(over)) return over
  return merged(base, over, overlay)
}
