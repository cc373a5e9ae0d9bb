/** Profiles as Target keeps them: updates only, and at most 64 KB, beyond which the oldest attributes are dropped. */

/** Adobe: external profile data is cut to 64 KB by removing the oldest attributes. */
const maxProfileBytes = 64 * 1_024

export interface Profile {
  /** Values by name, the least recently written first. */
  readonly attributes: Map<string, { value: string; modifiedAtMs: number }>
  modifiedAtMs: number
}

export interface HeldProfile {
  readonly visitor: string
  readonly attributes: readonly (readonly [name: string, written: { value: string; modifiedAtMs: number }])[]
  readonly modifiedAtMs: number
}

export class Profiles {
  readonly #profiles = new Map<string, Profile>()

  /** Makes a visitor known, as a visit to the site would. */
  seed(visitor: string, attributes: Readonly<Record<string, string>>, nowMs: number): void {
    if (!this.#profiles.has(visitor)) this.#profiles.set(visitor, { attributes: new Map(), modifiedAtMs: nowMs })
    this.update(visitor, new Map(Object.entries(attributes)), nowMs)
  }

  /** False if no visitor has this id: nothing is created. */
  update(visitor: string, pairs: ReadonlyMap<string, string>, nowMs: number): boolean {
    const profile = this.#profiles.get(visitor)
    if (profile === undefined) return false
    profile.modifiedAtMs = nowMs
    for (const [name, value] of pairs) {
      profile.attributes.delete(name)
      profile.attributes.set(name, { value, modifiedAtMs: nowMs })
    }
    let bytes = 0
    for (const [name, { value }] of profile.attributes) bytes += Buffer.byteLength(name) + Buffer.byteLength(value)
    for (const [name, { value }] of profile.attributes) {
      if (bytes <= maxProfileBytes) break
      profile.attributes.delete(name)
      bytes -= Buffer.byteLength(name) + Buffer.byteLength(value)
    }
    return true
  }

  get(visitor: string): Profile | undefined {
    return this.#profiles.get(visitor)
  }

  /** Values by name; undefined if no visitor has this id. */
  values(visitor: string): Record<string, string> | undefined {
    const profile = this.#profiles.get(visitor)
    return profile === undefined
      ? undefined
      : Object.fromEntries([...profile.attributes].map(([name, { value }]) => [name, value]))
  }

  /** All of them, as JSON can hold them. */
  held(): readonly HeldProfile[] {
    return [...this.#profiles].map(([visitor, { attributes, modifiedAtMs }]) => ({
      visitor,
      attributes: [...attributes],
      modifiedAtMs,
    }))
  }

  /** Puts back what `held` gave. */
  load(profiles: readonly HeldProfile[]): void {
    for (const { visitor, attributes, modifiedAtMs } of profiles)
      this.#profiles.set(visitor, { attributes: new Map(attributes), modifiedAtMs })
  }

  clear(): void {
    this.#profiles.clear()
  }
}
