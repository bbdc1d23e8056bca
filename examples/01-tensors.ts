// Tensors, operators as methods, and who frees what.  node examples/01-tensors.ts

import { ops, scope, tensor } from '../src/index.ts'

const total = scope(() => {
  const scores = tensor([
    [2, 1, 0],
    [0, 1, 2],
  ]) // [2, 3]
  const chances = scores.softmax(-1) // freed when the scope ends
  return chances.mul(ops.arange(0, 3).add(1)).sum(1) // passes to the scope around
})
console.log(total.toArray()) // expected word of each row: 1.42 and 2.58
total.dispose()
