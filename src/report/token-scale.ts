// In how many grades tokens are shown, known to the tokens and to the style sheet.

/** Losses in nats from which on the underline grows by one. The same in every report, so that pictures can be compared. */
export const lossSteps: readonly number[] = [0.01, 0.05, 0.2, 1]
/** Grades of the ground from answer to image. */
export const shareGrades = 10
