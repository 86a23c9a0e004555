import type { ChannelProof } from '../ledger/channel_proofs.ts';
import type { TestHow, TestStep } from '../operations/channel_test.ts';
import type { ControlClient } from './control_client.ts';
import { dim, type Io, printable, red } from './io.ts';

const WORDS: Record<TestStep['step'], string> = {
  connect: 'connected',
  send: 'a message out',
  receive: 'a message in',
};

/** Tries a channel and shows each step when it has ended. Returns 1 when one of them failed, else 0. */
export async function runTest(client: ControlClient, name: string, how: TestHow, io: Io): Promise<number> {
  const steps: TestStep[] = [];
  await client.stream('channel_test', { name, ...how }, (row) => {
    const step = row as unknown as TestStep;
    steps.push(step);
    if (io.json) return;
    io.out(line(step, io));
    if (how.reply && step.step === 'send' && step.state === 'ok') io.err('Answer it there …');
  });
  if (io.json) io.out(JSON.stringify({ channel: name, steps }));
  return steps.some(({ state }) => state === 'failed') ? 1 : 0;
}

function line({ step, state, ms, detail }: TestStep, io: Io): string {
  const sign = state === 'ok' ? 'ok     ' : state === 'skipped' ? dim(io, 'skipped') : red(io, 'failed ');
  return `${sign}  ${WORDS[step].padEnd(13)}  ${`${ms} ms`.padStart(9)}  ${printable(detail)}`;
}

/** Proves a channel without a word to anybody. Returns 1 when that failed, else 0. */
export async function proveChannel(client: ControlClient, name: string, io: Io): Promise<number> {
  const { ok, how, ms, detail } = await client.call<ChannelProof>('channel_prove', { name });
  if (io.json) io.out(JSON.stringify({ channel: name, ok: ok === 1, how, ms, detail }));
  else
    io.out(
      `${ok === 1 ? 'proven ' : red(io, 'failed ')}  ${how.padEnd(13)}  ${`${ms} ms`.padStart(9)}  ${printable(detail)}`,
    );
  return ok === 1 ? 0 : 1;
}
