/** Somebody who looks at the console in Chromium: without JavaScript, in either colour scheme, on any width. */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { testSecrets } from '../support/secrets.ts'
import { viewToken } from './scenes.ts'

const places = [process.env['CHROMIUM'], '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** @throws where there is no Chromium, and says what to do */
export async function openBrowser(): Promise<Browser> {
  const executablePath = places.find((place) => place !== undefined && existsSync(place))
  if (executablePath === undefined)
    throw new Error('there is no Chromium: apt-get install chromium, or name one in CHROMIUM')
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
}

export interface Look {
  readonly as?: 'admin' | 'viewer'
  readonly dark?: boolean
  readonly width?: number
  readonly script?: boolean
}

export interface Eyes {
  readonly context: BrowserContext
  readonly page: Page
  /** What the browser complained of: policy, scripts, dialogs, requests that failed. */
  readonly complaints: string[]
}

/** A window of one operator. */
export async function look(
  browser: Browser,
  { as = 'admin', dark = false, width = 1100, script = false }: Look = {},
): Promise<Eyes> {
  const context = await browser.newContext({
    colorScheme: dark ? 'dark' : 'light',
    viewport: { width, height: 1000 },
    javaScriptEnabled: script,
    locale: 'en-GB',
    httpCredentials:
      as === 'admin'
        ? { username: 'admin', password: testSecrets.adminToken }
        : { username: 'viewer', password: viewToken },
  })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('requestfailed', (request) => {
    // What was left behind when the next page was asked for.
    if (request.failure()?.errorText !== 'net::ERR_ABORTED') complaints.push(`failed: ${request.url()}`)
  })
  return { context, page, complaints }
}

/** What axe finds wrong with the page, in a line each. It needs a window with scripts. */
export async function axeFindings(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe)
  const { violations } = await page.evaluate<{
    violations: { id: string; help: string; nodes: { html: string; failureSummary: string }[] }[]
  }>('axe.run(document, { resultTypes: ["violations"] })')
  return violations.map(
    ({ id, help, nodes }) =>
      `${id}: ${help}: ${nodes
        .map((node) => `${node.html.slice(0, 200)} (${node.failureSummary})`)
        .slice(0, 2)
        .join(' | ')}`,
  )
}

/** How much wider the page is than its window, in CSS pixels. */
export async function overflow(page: Page): Promise<number> {
  return page.evaluate<number>('document.documentElement.scrollWidth - document.documentElement.clientWidth')
}

/** What somebody reads on the page, as it is laid out. */
export async function read(page: Page, where = 'main'): Promise<string> {
  return page.evaluate<string>(`document.querySelector(${JSON.stringify(where)}).innerText`)
}
