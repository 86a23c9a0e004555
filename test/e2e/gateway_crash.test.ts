import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import { ask, GatewayProcess } from '../fakes/gateway_process.ts';
import { makeOldAudit } from '../fakes/long_ago.ts';
import { startModel } from '../fakes/model.ts';
import { TokenPlace } from '../fakes/token_place.ts';

/**
 * Kills the gateway before and after each of its transactions and effects, starts it again, and looks: it starts, it
 * serves, a secret that was confirmed is there, and no request that reached the endpoint lacks its row.
 */

const SECRET = 'fake-secret-for-the-model';
const WAIT_MS = 5000;
/** Of the host, when the oldest request of the record was refused; it is old enough to be cut off. */
const HEAD = { event: 1, hash: 'ab'.repeat(32) };
const CUT = { day: '2020-01-01', count: 1 };
const model = await startModel();
const service = new TokenPlace();
await service.listen();
after(() => Promise.all([model.close(), service.close()]));

/** The names stand in the source as literals. */
const names = globSync('src/{vault,gateway}/*.ts', { cwd: ROOT }).flatMap((file) =>
  [...readFileSync(join(ROOT, file), 'utf8').matchAll(/guarded\([^']*aults, '([^']+)'/g)].map((match) => match[1]!),
);

interface Done {
  confirmed: boolean;
  removed: boolean;
}

/** Everything the gateway does, once; stops where it dies. */
async function live(gateway: GatewayProcess, policy: string): Promise<Done> {
  const done: Done = { confirmed: false, removed: false };
  try {
    await gateway.start();
    await gateway.setSecret('anthropic', SECRET);
    done.confirmed = true;
    await gateway.setSecret('spare', SECRET);
    await setService(gateway);
    const operator = await gateway.operator();
    await operator.request({ op: 'set', name: 'spare', value: 'fake-secret-in-its-place', next: true }, WAIT_MS);
    await operator.request({ op: 'promote', name: 'spare' }, WAIT_MS);
    await operator.request({ op: 'remove', name: 'spare', next: true }, WAIT_MS);
    await operator.request({ op: 'rotate' }, WAIT_MS);
    await operator.request({ op: 'remove', name: 'spare' }, WAIT_MS);
    done.removed = true;
    const host = await gateway.host();
    const socket = await gateway.open(host, 's1', 'assistant', policy);
    await ask(socket, '/other');
    await ask(socket, '/model/default/v1/messages');
    await service.ask(socket, gateway.paths);
    await gateway.audit(host, 's1');
    await host.request({ op: 'head', event: HEAD.event + 1, hash: HEAD.hash }, WAIT_MS);
    await host.request({ op: 'close', session: 's1' }, WAIT_MS);
    // Refused where nothing is old enough.
    await host.request({ op: 'cut', cut: { ...CUT, through: HEAD.event, seq: HEAD.event, hash: HEAD.hash } }, WAIT_MS);
  } catch {
    // It died, as planned; what it had confirmed until then is what counts.
  }
  return done;
}

async function setService(gateway: GatewayProcess): Promise<void> {
  const { name, value, terms } = service.secret;
  await gateway.setSecret(name, value, terms);
}

assert.ok(names.length >= 12, `only ${names.length} points were found`);

for (const point of names.flatMap((name) => [`${name}:before`, `${name}:after`])) {
  test(`killed at ${point}, it starts again and nothing confirmed is lost`, async (context) => {
    model.requests.length = 0;
    const gateway = new GatewayProcess({
      ...service.env,
      GLASS_FAULT: JSON.stringify({ point, hit: 1, kill: ['gateway'] }),
    });
    context.after(() => gateway.dispose());
    // Of the others each begins with what the gateway makes itself.
    if (point.startsWith('audit.cut')) makeOldAudit(gateway.paths.audit, HEAD);
    writeFileSync(gateway.paths.config, service.config(gateway.paths.home));
    const policy = gateway.group('assistant', `model: {upstream: "${model.origin}"}\n${service.group}`);
    const done = await live(gateway, policy);
    assert.equal(await gateway.end('SIGTERM'), 'SIGKILL', 'the point was reached and killed');
    const reached = model.requests.length;

    delete gateway.env['GLASS_FAULT'];
    await gateway.start();
    const host = await gateway.host();
    const { names: kept } = await host.request<{ names: string[] }>({ op: 'names' }, WAIT_MS);
    if (done.confirmed) assert.ok(kept.includes('anthropic'));
    if (done.removed) assert.ok(!kept.includes('spare'));
    const before = await gateway.audit(host, 's1');
    assert.ok(before.filter((row) => row.decision !== 'deny').length >= reached);
    if (!kept.includes('anthropic')) await gateway.setSecret('anthropic', SECRET);
    if (!kept.includes('service')) await setService(gateway);
    const socket = await gateway.open(host, 's1', 'assistant', policy);
    assert.equal((await service.ask(socket, gateway.paths)).status, 200);
    assert.equal((await ask(socket, '/model/default/v1/messages')).status, 200);
    assert.equal(model.requests.at(-1)!.headers['x-api-key'], SECRET);
  });
}
