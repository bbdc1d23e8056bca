// A training loop: parameters, a loss, backward, AdamW with a schedule.  node examples/02-training.ts

import { AdamW, backward, clipGradients, learningRate, linear, ops, requireGrad, scope, seed, zeroGradients } from '../src/index.ts'

seed(1)
const weight = requireGrad(ops.zeros([1, 3]))
const x = ops.randn([64, 3])
const y = scope(() => linear(x, ops.full([1, 3], 0.5)).add(ops.randn([64, 1]).mul(0.01)))

using optimizer = new AdamW([['weight', weight]], { rate: 0.1, weightDecay: 0 })
for (let step = 0; step < 60; step++) {
  const loss = scope(() => {
    const error = linear(x, weight).sub(y).square().mean()
    backward(error)
    clipGradients([weight], 1)
    optimizer.step(learningRate({ kind: 'cosine', peak: 0.1, warmup: 5, total: 60 }, step))
    zeroGradients([weight])
    return error.item()
  })
  if (step % 20 === 19) console.log(`step ${step + 1}: loss ${loss.toFixed(5)}`)
}
console.log(weight.toArray().map((each) => each.toFixed(2))) // 0.50, 0.50, 0.50
