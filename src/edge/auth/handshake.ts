/** How a scheme answers what only asks whether the address is ours. */

/** The answer to a handshake: an object as JSON with 200, or 204 without a body. */
export type Greeting = object | 'no_content'

export type Handshake = (event: unknown, secret: string, headers: Headers) => Promise<Greeting | undefined>

/** The only status that a sender takes for success. */
export type Yes = 200 | 204
