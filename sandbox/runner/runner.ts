import { flushCompileCache } from 'node:module';
import { unreachable } from '../../src/base/errors.ts';
import {
  COMPACT_SUMMARY_BYTES_MAX,
  DELTA_BYTES_MAX,
  DELTA_EVERY_MS,
  FRAME_NAME_BYTES_MAX,
  OUTBOUND_TEXT_BYTES_MAX,
} from '../../src/base/limits/messages.ts';
import { cutBytes } from '../../src/base/text.ts';
import { HATCH_VERSION, type HostFrame } from '../../src/protocol/frames.ts';
import { NODE_PROXY_VARIABLE, PROXY_PORT } from '../../src/protocol/proxy.ts';
import { HatchTools } from '../tools/calls.ts';
import type { Harness, HarnessEvent, HarnessOptions } from './harness.ts';
import { HostLink } from './host_link.ts';
import { Newest } from './newest.ts';
import { startRelay } from './relay.ts';
import { type RunningGate, runGate } from './task_gate.ts';

/**
 * The program in the sandbox: connects to the hatch, opens the harness that the host names, and passes turns in and
 * events out. It holds no state that matters; the host may end it at any moment.
 *
 *   hello → welcome → (harness opens) ready → turn … taken, call, tool, delta … done → turn …
 */
const RUN_FOLDER = '/run/glass';
const EGRESS_SOCKET = `${RUN_FOLDER}/egress.sock`;
const WORKSPACE = '/workspace';
const CUT_NOTE = '\n[The answer was cut here.]';

type HarnessName = Extract<HostFrame, { t: 'welcome' }>['harness'];

let turn: number | null = null;
let harness: Harness | null = null;
/** The harness's resume point, as it last gave it. */
let point: string | null = null;
/** The gate that runs before the harness is asked. */
let gate: RunningGate | null = null;
let relay: ReturnType<typeof startRelay> | null = null;
/** What the host was last told of the answer. */
let told = '';
const deltas = new Newest<string>(DELTA_EVERY_MS, sendDelta);

if (process.argv[2] === '--warm-up') {
  await load(process.argv[3] as HarnessName);
  flushCompileCache();
  process.exit(0);
}

const tools = new HatchTools(
  () => link,
  () => turn,
);
const link = new HostLink(`${RUN_FOLDER}/hatch.sock`, receive);
link.send({ t: 'hello', v: HATCH_VERSION });

function receive(frame: HostFrame): void {
  switch (frame.t) {
    case 'welcome':
      void open(frame);
      return;
    case 'turn':
      turn = frame.turn;
      if (frame.gate === null) opened().start(frame);
      else void startBehind(frame.gate, frame);
      return;
    case 'steer':
      // A turn that has just ended takes nothing more; the host returns these messages to the queue.
      if (turn === frame.turn && gate === null) opened().join(frame.messages);
      return;
    case 'interrupt':
      if (turn !== frame.turn) return;
      if (gate === null) opened().interrupt();
      else gate.interrupt();
      return;
    case 'receipt':
      tools.receipt(frame.call, { ok: frame.ok, value: frame.value });
      return;
    default:
      unreachable(frame);
  }
}

/** The harness is asked only if the gate says so, and then hears what it printed. */
async function startBehind(script: string, frame: Extract<HostFrame, { t: 'turn' }>): Promise<void> {
  const began = performance.now();
  gate = runGate(script, WORKSPACE);
  const result = await gate.result;
  gate = null;
  emit({
    kind: 'tool',
    tool: 'gate',
    ok: result.kind !== 'failed',
    ms: performance.now() - began,
    summary: result.kind,
  });
  // The harness was not asked, so what it remembers is what it remembered before.
  const end = { kind: 'done' as const, text: '', resume: point };
  const taken = (): void => emit({ kind: 'taken', ids: frame.messages.map(({ id }) => id) });
  switch (result.kind) {
    case 'wake': {
      const said = result.output.trim() === '' ? '' : `\n\n[Its gate printed:]\n${result.output.trim()}`;
      return opened().start({ ...frame, messages: frame.messages.map((one) => ({ ...one, text: one.text + said })) });
    }
    case 'sleep':
      taken();
      return emit({ ...end, outcome: 'silent' });
    case 'failed':
      taken();
      return emit({ ...end, outcome: 'failed', text: `The task failed: ${result.reason}.` });
    case 'interrupted':
      return emit({ ...end, outcome: 'interrupted' });
    default:
      unreachable(result);
  }
}

async function open(welcome: Extract<HostFrame, { t: 'welcome' }>): Promise<void> {
  if (hasServices()) await offerProxy();
  point = welcome.resume;
  const create = await load(welcome.harness);
  harness = create({
    model: welcome.model,
    instructions: welcome.instructions,
    resume: welcome.resume,
    modelUrl,
    modelSocket: EGRESS_SOCKET,
    workspace: WORKSPACE,
    state: '/state',
    tools: tools.limitedTo(welcome.tools),
    mcp: welcome.mcp,
    drafts: welcome.drafts,
    emit,
  });
  const { resumed } = await harness.open();
  link.send({ t: 'ready', steer: harness.steer, resumed });
}

/** Loaded when named: a harness's packages must not cost the others memory. */
async function load(name: HarnessName): Promise<(options: HarnessOptions) => Harness> {
  switch (name) {
    case 'probe':
      return (await import('../harnesses/probe/probe.ts')).createProbe;
    case 'native':
      return (await import('../harnesses/native/native.ts')).createNative;
    case 'claude':
      return (await import('../harnesses/claude/claude.ts')).createClaude;
    default:
      return unreachable(name);
  }
}

function emit(event: HarnessEvent): void {
  if (turn === null) return; // after `done` a harness has nothing to say
  switch (event.kind) {
    case 'taken':
      link.send({ t: 'taken', turn, ids: event.ids });
      return;
    case 'tool':
      link.send({
        t: 'tool',
        turn,
        tool: event.tool,
        ok: event.ok,
        ms: Math.round(event.ms),
        summary: cutBytes(event.summary, FRAME_NAME_BYTES_MAX),
      });
      return;
    case 'compacted': {
      const { before, after, unit } = event;
      const summary = cutBytes(event.summary, COMPACT_SUMMARY_BYTES_MAX);
      link.send({ t: 'compacted', turn, before: Math.round(before), after: Math.round(after), unit, summary });
      return;
    }
    case 'lost':
      console.error('runner: the conversation that was to go on is gone');
      process.exit(1);
      break;
    case 'delta':
      deltas.give(event.text);
      return;
    case 'done':
      deltas.forget();
      told = '';
      if (event.outcome === 'answered' || event.outcome === 'silent') point = event.resume;
      link.send({ t: 'done', turn, outcome: event.outcome, text: sendable(event.text), resume: event.resume });
      turn = null;
      return;
    default:
      unreachable(event);
  }
}

/** Beyond its limit there is nothing more to show. */
function sendDelta(answer: string): void {
  const text = cutBytes(answer, DELTA_BYTES_MAX);
  if (turn === null || text === told) return;
  told = text;
  link.send({ t: 'delta', turn, text });
}

/** An answer beyond the limit is cut here, visibly: the host would take it for a broken runner. */
function sendable(text: string): string {
  const cut = cutBytes(text, OUTBOUND_TEXT_BYTES_MAX - CUT_NOTE.length);
  return cut === text ? text : cut + CUT_NOTE;
}

/** Whether the host has put the group's proxy into the environment. */
function hasServices(): boolean {
  return process.env['HTTPS_PROXY'] !== undefined;
}

/** Before anything is started that could take the port. */
async function offerProxy(): Promise<void> {
  process.env[NODE_PROXY_VARIABLE] = '1';
  await openRelay();
}

async function modelUrl(): Promise<string> {
  return `http://127.0.0.1:${(await openRelay()).port}/model/default`;
}

function openRelay(): ReturnType<typeof startRelay> {
  relay ??= startRelay(EGRESS_SOCKET, hasServices() ? PROXY_PORT : 0);
  return relay;
}

function opened(): Harness {
  if (harness === null) throw new Error('the host sent a turn before `ready`');
  return harness;
}
