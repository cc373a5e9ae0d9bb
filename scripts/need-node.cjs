/** Says in one line which Node the scripts need, where the `node` devDependency could not bring it (install scripts off). */
const needed = 24
if (Number(process.versions.node.split('.')[0]) < needed) {
  console.error(
    `target-relay's scripts need Node ${needed} or newer; this is ${process.versions.node}. Run "npm ci" with install scripts on (it brings Node ${needed}), or install Node ${needed}.`,
  )
  process.exit(1)
}
