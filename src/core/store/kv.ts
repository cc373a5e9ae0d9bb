/** What is asked of a KV namespace. */
export interface Kv {
  put(key: string, value: string, options?: { metadata?: unknown }): Promise<void>
  list(options: { prefix: string; cursor?: string; limit?: number }): Promise<KvList>
  get(keys: string[]): Promise<Map<string, string | null>>
  delete(key: string): Promise<void>
}

export type KvList =
  | { readonly list_complete: true; readonly keys: readonly KvKey[] }
  | { readonly list_complete: false; readonly keys: readonly KvKey[]; readonly cursor: string }

export interface KvKey {
  readonly name: string
  readonly metadata?: unknown
}
