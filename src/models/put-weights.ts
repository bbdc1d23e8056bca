// Puts the weights of a run's checkpoint into a loaded model, so that any step of a run can be asked without exporting it.

import { join } from 'node:path'
import { ArgumentError } from '../errors.ts'
import { noGrad, scope } from '../torch/context.ts'
import { openSafetensors } from '../torch/safetensors.ts'
import type { Tensor } from '../torch/tensor.ts'

/**
 * Puts the weights of a checkpoint's folder (`weights.safetensors`, what a run trained) in the places of a model's own.
 * @throws ArgumentError for weights that the model does not have in that shape; FileFormatError if there is no such file, or it is damaged
 */
export function putWeights(parameters: ReadonlyMap<string, Tensor>, folder: string): void {
  using file = openSafetensors(join(folder, 'weights.safetensors'))
  noGrad(() =>
    scope(() => {
      for (const name of file.names) {
        const parameter = parameters.get(name)
        if (parameter === undefined) throw new ArgumentError(`${folder}: has the weight ${name}, which the model has not`)
        const weight = file.tensor(name)
        // What can be stretched to the shape would be copied without a word.
        if (`${weight.shape}` !== `${parameter.shape}`) {
          throw new ArgumentError(
            `${folder}: ${name} has the shape [${weight.shape}], the model's has [${parameter.shape}]; give a run of this model`,
          )
        }
        parameter.copy_(weight)
      }
    }),
  )
}
