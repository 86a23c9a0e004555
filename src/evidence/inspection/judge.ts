import type { Observations } from './derive.ts';
import {
  type Depth,
  describeExpectation,
  type Exception,
  expectationOf,
  type Facts,
  type Probe,
  type ProbeGroup,
  type Profile,
} from './probes/probe.ts';

/** From observations to results. Pure. What was not seen has failed: silence of the observer proves nothing. */

export interface ProbeResult {
  id: string;
  group: ProbeGroup;
  what: string;
  /** `not_run`: it could not be tried here. `not_built`: there is no such guard yet. */
  state: 'passed' | 'failed' | 'not_run' | 'not_built';
  expected: string;
  seen: string;
}

export interface JudgeInput {
  probes: readonly Probe[];
  profile: Profile;
  depth: Depth;
  facts: Facts;
  observations: Observations;
  /** Limits that do not hold on this machine. */
  absent: readonly string[];
}

/** Characters of an observation in the table. */
const SEEN_CHARS_MAX = 160;

export function judge(input: JudgeInput): ProbeResult[] {
  return input.probes.map((probe) => {
    const expectation = expectationOf(probe, input.profile);
    const { state, seen } = judgeOne(probe, expectation, input);
    const expected = oneLine(describeExpectation(expectation, input.facts));
    return { id: probe.id, group: probe.group, what: probe.what, state, expected, seen: oneLine(seen) };
  });
}

type Judgement = Pick<ProbeResult, 'state' | 'seen'>;

function judgeOne(probe: Probe, expectation: Exception, input: JudgeInput): Judgement {
  if ('not_built' in expectation) return { state: 'not_built', seen: expectation.not_built };
  if ('not_run' in expectation) return { state: 'not_run', seen: expectation.not_run };
  if (probe.limit !== undefined && input.absent.includes(probe.limit)) {
    return { state: 'not_run', seen: 'this limit is not enforced on this machine' };
  }
  if (probe.depth === 'full' && input.depth === 'quick') return { state: 'not_run', seen: 'only with depth full' };
  const { observations } = input;
  if (probe.control !== undefined) {
    const control = observations.get(probe.control);
    if (control !== undefined && 'not_run' in control) return { state: 'not_run', seen: control.not_run };
    if (control?.value !== 'ok') return { state: 'failed', seen: `its control did not work: ${control?.value}` };
  }
  const observation = observations.get(expectation.reads ?? probe.reads);
  if (observation === undefined) return { state: 'failed', seen: 'the observer said nothing' };
  if ('not_run' in observation) return { state: 'not_run', seen: observation.not_run };
  const accepted = 'fact' in expectation ? [input.facts[expectation.fact]] : expectation.one_of;
  return { state: accepted.includes(observation.value) ? 'passed' : 'failed', seen: observation.value };
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > SEEN_CHARS_MAX ? `${line.slice(0, SEEN_CHARS_MAX)}…` : line;
}
