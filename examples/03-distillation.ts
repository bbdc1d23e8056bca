// The exact distillation loss without logits in memory, with a clip for each token.  node examples/03-distillation.ts

import { backward, gradient, linearDivergence, memory, ops, requireGrad, resetPeakMemory, scope, seed } from '../src/index.ts'

seed(2)
const [tokens, vocabulary, width] = [512, 32_000, 64]
const student = { hidden: requireGrad(ops.randn([tokens, width])), head: ops.randn([vocabulary, width]).mul_(0.2) }
const teacher = { hidden: ops.randn([tokens, width]), head: student.head }

resetPeakMemory()
const before = memory().cpuBytes
scope(() => {
  const { loss, values } = linearDivergence(
    student,
    teacher,
    { kind: 'forwardKl' },
    { chunk: 64, perToken: (each) => each.clamp(null, 3).div(tokens) },
  )
  backward(loss)
  const clipped = values.gt(3).toDtype('float32').mean().item()
  console.log(
    `loss ${loss.item().toFixed(3)}, ${(100 * clipped).toFixed(0)} % of the tokens clipped, gradient norm ${gradient(student.hidden)?.norm().item().toFixed(4)}`,
  )
})
const [peak, logits] = [memory().cpuPeakBytes - before, 2 * tokens * vocabulary * 4]
console.log(`${(peak / 1e6).toFixed(0)} MB at the peak; the logits alone would take ${(logits / 1e6).toFixed(0)} MB`)
