/** The stand-in for Upstash over a real redis-server, in a process of its own. Sends its address once it listens. */
import { startUpstashStandIn } from '../../support/upstash-stand-in.ts'

const standIn = await startUpstashStandIn()
// It records the name of each command.
setInterval(() => standIn.resetCounts(), 1_000)
process.on('disconnect', async () => {
  await standIn[Symbol.asyncDispose]()
  process.exit()
})
process.send?.({ url: standIn.url, token: standIn.token })
