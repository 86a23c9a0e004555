import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import type { AlertShown } from '../control/operations/alerts.ts';
import type { AlertTestRow } from '../evidence/alert_test.ts';
import { ControlClient } from './control_client.ts';
import { dim, type Io, printable, red } from './io.ts';

/** `glass alert list|ack|test`. Exit code 1 when an alert stands that nobody has seen, or when a way has failed its test. */
const USAGE = 'usage: glass alert list | ack <id>|all | test';

export async function alert(args: string[], paths: Paths, io: Io): Promise<number> {
  const [verb, id, ...more] = args;
  if (more.length > 0 || (id === undefined) !== (verb !== 'ack')) throw new OperatingError('usage', USAGE);
  const client = new ControlClient(paths.controlSocket);
  try {
    switch (verb) {
      case 'list':
        return list((await client.call<{ alerts: AlertShown[] }>('alerts')).alerts, io);
      case 'ack':
        return await ack(client, id!, io);
      case 'test':
        return await test(client, io);
      default:
        throw new OperatingError('usage', USAGE);
    }
  } finally {
    client.close();
  }
}

function list(alerts: AlertShown[], io: Io): number {
  if (io.json) io.out(JSON.stringify({ alerts }));
  else if (alerts.length === 0) io.out('there is no alert, and there never was one');
  else for (const one of alerts) io.out(lines(one, io));
  return alerts.some(({ state }) => state === 'open') ? 1 : 0;
}

function lines({ id, kind, subject, severity, state, text, act, count, created_ms, told }: AlertShown, io: Io): string {
  const when = new Date(created_ms).toISOString().slice(0, 16).replace('T', ' ');
  const head = `${id.padEnd(5)} ${state.padEnd(4)}  ${when}  ${severity} ${kind} ${printable(subject)} ×${count}`;
  const failed = told.failed.map((why) => red(io, `\n       not arrived by ${printable(why)}`)).join('');
  const open = state === 'open' ? `\n       → ${act}` : '';
  return `${state === 'open' ? red(io, head) : head}\n       ${printable(text)}${dim(io, open)}${failed}`;
}

async function ack(client: ControlClient, id: string, io: Io): Promise<number> {
  const seen =
    id === 'all' ? await client.call<object>('clear_alerts') : await client.call<object>('alert_ack', { alert: id });
  if (io.json) io.out(JSON.stringify(seen));
  else io.out(id === 'all' ? 'all alerts are seen' : `${id} is seen`);
  return 0;
}

async function test(client: ControlClient, io: Io): Promise<number> {
  const rows: AlertTestRow[] = [];
  await client.stream('alert_test', {}, (row) => {
    const one = row as unknown as AlertTestRow;
    rows.push(one);
    const state = one.state === 'failed' ? red(io, 'failed ') : one.state.padEnd(7);
    if (!io.json) io.out(`${state}  ${one.way.padEnd(24)}  ${`${one.ms} ms`.padStart(9)}  ${printable(one.detail)}`);
  });
  if (io.json) io.out(JSON.stringify({ ways: rows }));
  return rows.some(({ state }) => state === 'failed') ? 1 : 0;
}
