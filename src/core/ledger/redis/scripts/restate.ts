import { window } from './window.ts'

/**
 * States how many units were really spent.
 *
 * KEYS: quota. Input: units. Answers null.
 */
export const restateScript = /* lua */ `${window}
local window = openWindow(KEYS[1])
window:restate(input.units)
return 'null'
`
