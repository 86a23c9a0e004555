import { seconds } from '../../evidence/check/document.ts';
import { brokenPath } from '../../evidence/check/path.ts';
import type { CheckResult, Claim, Guards } from '../../evidence/check/report.ts';
import type { Trace } from '../../evidence/trace.ts';
import type { Verified } from '../../evidence/verify.ts';
import type { InspectAnswer } from '../inspect.ts';
import { Chat } from './chat.ts';
import type { Scene } from './scene.ts';

/** What an experiment comes to, without the time that it took. */
export type Found = Pick<CheckResult, 'claims' | 'guards'>;

/** A message's way through everything, the model included, cold and warm. */
export async function traceability(scene: Scene): Promise<Found> {
  const chat = await Chat.open(scene, 'trace');
  const claims: Claim[] = [];
  for (const what of ['a first message, whose sandbox has to be started', 'the next message, in the same sandbox']) {
    claims.push(
      await scene.claim(`The path of ${what}, is whole and in order, its request at the gateway included`, async () => {
        const message = await chat.say('model');
        const trace = await chat.answered(message);
        const broken = brokenPath(trace.steps, 1);
        if (broken !== null) throw new Error(`${message}: ${broken}`);
        return { ...timed(trace), evidence: await evidenceOf(scene, trace) };
      }),
    );
  }
  claims.push(await scene.claim('All that is recorded is whole and unchanged', () => recordHolds(scene)));
  return { claims, guards: [] };
}

/** The chain of the host's events, and that of the gateway's requests, each with the heads that the other has. */
export async function recordHolds(scene: Scene): Promise<Partial<Claim>> {
  let last: Record<string, unknown> = {};
  await scene.client.stream('events_verify', { head: null, egress_head: null }, (row) => {
    last = row;
  });
  if (last['t'] !== 'verified') throw new Error('the record could not be read to its end');
  const { broken, events, links, anchors, heads } = last as unknown as Verified;
  if (broken !== null) throw new Error(broken);
  return { seen: `${events} events and ${links} links of requests, compared with ${heads} and ${anchors} heads` };
}

function timed({ steps }: Trace): Pick<Claim, 'ms' | 'seen'> {
  const at = (kind: string): number => steps.find((step) => step.kind === kind)!.at_us / 1000;
  const [turn, settled] = [at('turn.started') - at('message.received'), at('turn.settled') - at('turn.started')];
  const ms = at('delivery.sent') - at('message.received');
  return { ms, seen: `${steps.length} steps; ${seconds(turn)} to its turn, ${seconds(settled)} in it` };
}

/** The message, its turn, its answer, and the events that say so. */
async function evidenceOf(scene: Scene, trace: Trace): Promise<string[]> {
  const { id } = trace.message;
  const turn = trace.handled[0]?.turn ?? '';
  const outbound = trace.steps.find((step) => step.outbound !== null)?.outbound ?? '';
  const sent = await scene.event('the event of its delivery', (event) => {
    return event.kind === 'delivery.sent' && event.outbound === outbound;
  });
  const ids = scene.events.filter((event) => event.message === id || event.turn === turn).map((event) => event.id);
  return [id, turn, outbound, `events ${Math.min(...ids)}–${Math.max(...ids, sent.id)}`];
}

/** In a sandbox of each group everything is tried that its boundary must refuse. */
export async function privilege(scene: Scene, groups: string[]): Promise<Found> {
  const claims: Claim[] = [];
  const guards: Guards[] = [];
  for (const group of groups) {
    scene.tell(`  trying to break out of a sandbox of ${group} …`);
    claims.push(
      await scene.claim(`The boundary of ${group} holds`, async () => {
        const input = { group, depth: 'full', canary: false };
        const { inspection, authority } = await inspected(scene, input);
        const { ok, problem, profile, probes, ms } = inspection;
        // What was cut short says nothing about a guard.
        if (problem !== null) throw new Error(`it could not be finished: ${problem}`);
        guards.push({ group, authority, profile, probes });
        const count = (state: string): number => probes.filter((probe) => probe.state === state).length;
        const seen = `${count('passed')} of ${probes.length} guards held, ${count('failed')} failed, ${count('not_run')} not tested, ${count('not_built')} not built`;
        return { state: ok ? 'held' : 'failed', seen, ms, evidence: [`authority ${authority.slice(0, 12)}`] };
      }),
    );
  }
  return { claims, guards };
}

/** One that was cut short by a busy machine has found nothing, and is made once more. */
async function inspected(scene: Scene, input: object): Promise<InspectAnswer> {
  const ask = (): Promise<InspectAnswer> => scene.client.call<InspectAnswer>('inspect', input);
  const first = await ask();
  return first.inspection.problem === null ? first : ask();
}
