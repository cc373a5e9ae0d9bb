/** The frame of every page, and what pages are made of. */
import type { Context } from 'hono'
import { html } from 'hono/html'
import type { HtmlEscapedString } from 'hono/utils/html'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { clockTime, figure, span } from '../../core/words.ts'
import { type Desk, deskOf, type Told } from './desk.ts'

/** Markup; texts in it are escaped. */
export type Markup = HtmlEscapedString | Promise<HtmlEscapedString>
export type Part = Markup | string | number | false | undefined | readonly Part[]

const pages = [
  ['', 'Overview'],
  ['visitor', 'Visitor'],
  ['dead', 'Dead letters'],
  ['sources', 'Sources'],
  ['steering', 'Steering'],
] as const
export type PageName = (typeof pages)[number][0]

/**
 * A whole page.
 *
 * @param at the item of the menu that it belongs to
 */
export function page(
  { root, home, client, who, looksOnly, nowMs }: Desk,
  { at, title, again = false }: { readonly at: PageName; readonly title: string; readonly again?: boolean },
  ...body: readonly Part[]
): Markup {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · target-relay</title>
<link rel="icon" href="${root}icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="${root}console.css">
</head>
<body>
<a class="skip" href="#main">To the content</a>
<header>
<p class="brand"><a href="${home}">target-relay</a> <span>${client}</span></p>
<nav aria-label="Pages"><ul>${pages.map(
    ([path, name]) =>
      html`<li><a href="${path === '' ? home : root + path}"${path === at && html` aria-current="page"`}>${name}</a></li>`,
  )}</ul></nav>
<p class="who">${who.name}${looksOnly && html` <span class="tag">looks only</span>`}</p>
</header>
<main id="main">
<div class="title"><h1>${title}</h1><p class="at">${time(new Date(nowMs).toISOString(), nowMs)} UTC${
    again && html` · <a href="">Look again</a>`
  }</p></div>
${body}
</main>
</body>
</html>`
}

export type Refusal = Extract<Told<unknown>, { ok: false }>

/** What was refused, as a page of its status. */
export function refused(c: Context, at: PageName, told: Refusal): Response | Promise<Response> {
  const body = [
    notice('fail', problemParts(told)),
    html`<p>Nothing was done. Go back in your browser, or to the <a href="${deskOf(c).home}">overview</a>.</p>`,
  ]
  return c.html(page(deskOf(c), { at, title: told.title }, ...body), told.status as ContentfulStatusCode)
}

export function problemParts({ title, detail, errors = [] }: Refusal): readonly Part[] {
  return [
    html`<strong>${title}.</strong> `,
    detail,
    errors.map(({ path, message }) => html`<br>${path === '' ? '' : `${path} `}${message}`),
  ]
}

/** @param tone colours it; the words alone must say it all */
export function notice(tone: 'ok' | 'warn' | 'fail' | 'plain', ...body: readonly Part[]): Markup {
  return html`<div class="notice ${tone}"${tone === 'fail' && html` role="alert"`}><p>${body}</p></div>`
}

/** A time of today by its clock, any other with its date; UTC. */
export function time(iso: string, nowMs: number): Markup {
  return html`<time datetime="${iso}">${clockTime(iso, { nowMs, zone: 'UTC' })}</time>`
}

export function ago(iso: string, nowMs: number): string {
  return span(nowMs - Date.parse(iso))
}

export function section(title: string, ...body: readonly Part[]): Markup {
  return html`<section><h2>${title}</h2>${body}</section>`
}

/** A cell that is a number is set to the right. */
export function table(caption: Part, head: readonly string[], rows: readonly (readonly Part[])[]): Markup {
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Table"><table><caption>${caption}</caption>
<thead><tr>${head.map((name, column) => html`<th scope="col"${typeof rows[0]?.[column] === 'number' && html` class="n"`}>${name}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map(cell)}</tr>\n`)}</tbody></table></div>`
}

function cell(part: Part, column: number): Markup {
  const content = typeof part === 'number' ? figure(part) : part
  const kind = typeof part === 'number' && html` class="n"`
  return column === 0 ? html`<th scope="row"${kind}>${content}</th>` : html`<td${kind}>${content}</td>`
}

/** A chart and, behind a summary, the same as a table. */
export function chart(title: string, svg: Markup, legend: Part, ...tables: readonly Part[]): Markup {
  return html`<figure><figcaption><h2>${title}</h2></figcaption>${legend}${svg}
<details><summary>As a table</summary>${tables}</details></figure>`
}

/** Names and their values, side by side. */
export function facts(...pairs: readonly (readonly [name: string, value: Part])[]): Markup {
  return html`<dl class="facts">${pairs.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`
}

/** A form that is sent by POST, with what shows that this relay made it. */
export function form({ root, token }: Desk, path: string, ...body: readonly Part[]): Markup {
  return html`<form method="post" action="${root}${path}"><input type="hidden" name="token" value="${token}">${body}</form>`
}

export function button(
  text: string,
  options: { readonly name?: string; readonly value?: string; readonly grave?: true } = {},
): Markup {
  const { name, value, grave } = options
  return html`<button${grave && html` class="grave"`}${name !== undefined && html` name="${name}"`}${
    value !== undefined && html` value="${value}"`
  }>${text}</button>`
}

export function hidden(name: string, value: string): Markup {
  return html`<input type="hidden" name="${name}" value="${value}">`
}

/** With its label. */
export function input(
  label: string,
  name: string,
  {
    value = '',
    hint = '',
    type = 'text',
    required = false,
  }: { value?: string; hint?: string; type?: string; required?: boolean } = {},
): Markup {
  return html`<label>${label}<input type="${type}" name="${name}" value="${value}" autocomplete="off" spellcheck="false"${
    required && html` required`
  }>${hint !== '' && html`<small>${hint}</small>`}</label>`
}

/** @param choices the values, each with its text */
export function select(
  label: string,
  name: string,
  choices: readonly (readonly [value: string, text: string])[],
  chosen: string,
): Markup {
  return html`<label>${label}<select name="${name}">${choices.map(
    ([value, text]) => html`<option value="${value}"${value === chosen && html` selected`}>${text}</option>`,
  )}</select></label>`
}

/** A place for something to stand where there is nothing. */
export function nothing(text: string): Markup {
  return html`<p class="none">${text}</p>`
}
