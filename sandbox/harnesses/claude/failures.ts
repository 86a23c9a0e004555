import { BROKEN_OFF, noModelAnswer, statusSentence } from '../../runner/failures.ts';
import type { Failure } from './wire.ts';

/** The sentence for a turn that failed. `said` is what the Claude process itself gives as the reason. */
export function failureSentence(failure: Failure | null, said: string): string {
  if (failure === null) return noModelAnswer(said);
  return failure.status === 'cut' ? BROKEN_OFF : statusSentence(failure.status, failure.body);
}
