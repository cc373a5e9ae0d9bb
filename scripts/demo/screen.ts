/** The demo's output: headings, one progress line on a terminal, tables. */

export function heading(text: string): void {
  console.log(`\n${text}`)
}

/** On a terminal the line is overwritten; elsewhere only its last state is printed. */
export function progress(text: string, last = false): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K  ${text}${last ? '\n' : ''}`)
  else if (last) console.log(`  ${text}`)
}

/** Rows of equal length; the first is the header. */
export function table(rows: readonly (readonly (string | number)[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => String(row[column] ?? '').length)))
  for (const [index, row] of rows.entries()) {
    console.log(
      `  ${row.map((cell, column) => (typeof cell === 'number' ? String(cell).padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))).join('  ')}`.trimEnd(),
    )
    if (index === 0) console.log(`  ${widths.map((width) => '-'.repeat(width)).join('  ')}`)
  }
}
