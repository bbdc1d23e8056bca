// Where public data sets come from, and where they are kept: what the environment says of it, as Hugging Face's own tools read it.

import { homedir } from 'node:os'
import { join } from 'node:path'
import type { HubOptions } from '../data/hub.ts'

/** Access to the Hub: `HF_ENDPOINT`, `HF_TOKEN`, and a cache under `XDG_CACHE_HOME`. */
export function hubAccess(): HubOptions {
  const { env } = process
  return {
    endpoint: env['HF_ENDPOINT'] ?? 'https://huggingface.co',
    token: env['HF_TOKEN'] ?? null,
    cache: join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'sightline', 'datasets'),
  }
}
