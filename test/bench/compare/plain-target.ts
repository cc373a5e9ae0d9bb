/** One POST to Target, as a Worker without the relay makes it: the same URL and the same body. */

export interface PlainEnv {
  readonly UPSTASH_REDIS_REST_URL: string
  readonly UPSTASH_REDIS_REST_TOKEN: string
  readonly TARGET_ORIGIN: string
  readonly TARGET_CLIENT_CODE: string
}

export interface PlainUpdate {
  readonly visitor: { readonly thirdPartyId: string }
  readonly attributes: Readonly<Record<string, string | number>>
}

/** The status that Target answered. */
export async function postToTarget(
  env: Pick<PlainEnv, 'TARGET_ORIGIN' | 'TARGET_CLIENT_CODE'>,
  { visitor, attributes }: PlainUpdate,
): Promise<number> {
  const body = new URLSearchParams({ mbox3rdPartyId: visitor.thirdPartyId })
  for (const [name, value] of Object.entries(attributes)) body.set(`profile.${name}`, String(value))
  const answer = await fetch(`${env.TARGET_ORIGIN}/m2/${env.TARGET_CLIENT_CODE}/profile/update`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: body.toString(),
  })
  await answer.text()
  return answer.status
}
