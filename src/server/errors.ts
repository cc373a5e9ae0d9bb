/** A SQLite file that was removed or replaced under the process: nothing more is done in it. */
export class FileReplaced extends Error {
  override readonly name = 'FileReplaced'
  constructor() {
    super('a file is no longer the one that was opened: restart')
  }
}
