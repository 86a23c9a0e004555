import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../fakes/install.ts';
import { requireHarness } from '../kits/harness_bench.ts';
import { cannotHaveSystemd, SystemdMachine } from '../kits/systemd_machine.ts';

/** `glass service` on a machine that systemd runs: the units as they ship, under everything that they forbid themselves. */

const skip = cannotHaveSystemd();
const GATEWAY = 'glassclaw-gateway.service';
const MODEL = '127.0.0.1:18080';
const YAML = `harness: native\nmodel: {upstream: "http://${MODEL}"}\n`;
const machine = new SystemdMachine();

before(async () => {
  if (skip !== false) return;
  await requireHarness('native');
  machine.start();
  assert.match(machine.state, /^(running|degraded)$/, 'systemd is up');
  machine.spawn('test/fakes/model.ts', '--port', '18080');
});
after(() => machine.stop());

interface Unit {
  unit: string;
  state: string;
  pid: number;
  user: string;
  restarts: number;
}

function unitOf(name: string): Unit {
  const { units } = JSON.parse(machine.glass(['service', 'status', '--json']).out) as { units: Unit[] };
  return units.find(({ unit }) => unit === name)!;
}

/** The command line on a service that is just starting. */
function glassOnce(words: string[], input = ''): Promise<string> {
  return until(words.join(' '), async () => {
    const { code, out, err } = machine.glass(words, input);
    if (code !== 0) throw new Error(out + err);
    return out;
  });
}

test('install starts both, and does nothing the second time', { skip }, async () => {
  assert.equal(machine.glass(['service', 'status']).code, 4);
  const first = machine.glass(['service', 'install']);
  assert.deepEqual([first.code, first.err], [0, '']);
  const { pid } = unitOf(GATEWAY);
  assert.match(machine.glass(['service', 'install']).out, /^everything is in place already/);
  assert.equal(unitOf(GATEWAY).pid, pid);
  assert.deepEqual([unitOf(GATEWAY).user, unitOf('glassclaw.service').user], ['glassclaw-gateway', 'glassclaw']);
  await glassOnce(['status']);
});

test('a message is answered, and the self-check holds inside the units', { skip }, async () => {
  machine.run(['sh', '-c', 'cat > /var/lib/glassclaw/groups/assistant/group.yaml'], YAML);
  await glassOnce(['group', 'apply', 'assistant', '--yes']);
  await glassOnce(['secret', 'set', 'anthropic', '--stdin', '--host', MODEL], 'sk-scripted-0123456789');
  assert.match(machine.glass(['chat', 'hello']).out, /echo: .*hello/s);
  const inspected = machine.glass(['inspect', 'assistant']);
  assert.equal(inspected.code, 0, inspected.out);
});

test('a gateway that is killed is started again, and the conversation goes on', { skip }, async () => {
  const before = unitOf(GATEWAY);
  assert.equal(machine.run(['systemctl', 'kill', '--signal=KILL', GATEWAY]).code, 0);
  await until('another one', async () => {
    const { state, pid } = unitOf(GATEWAY);
    assert.ok(state === 'active' && pid !== before.pid);
  });
  await until('the host has it', async () => {
    const { gateway } = JSON.parse(machine.glass(['status', '--json']).out) as { gateway: string };
    assert.equal(gateway, 'connected');
  });
  assert.match(machine.glass(['chat', 'again']).out, /echo: .*again/s);
  assert.equal(unitOf('glassclaw.service').restarts, 0);
});

for (const name of [GATEWAY, 'glassclaw.service'])
  test(`${name} that hangs is killed and started again`, { skip }, async () => {
    const folder = `/run/systemd/system/${name}.d`;
    machine.run(['sh', '-c', `mkdir -p ${folder} && cat > ${folder}/soon.conf`], '[Service]\nWatchdogSec=10s\n');
    machine.run(['systemctl', 'daemon-reload']);
    machine.run(['systemctl', 'restart', name]);
    await until('it runs', async () => assert.equal(unitOf(name).state, 'active'));
    const { pid, restarts } = unitOf(name);
    // Well, it outlives its watchdog.
    await sleep(12_000);
    assert.deepEqual([unitOf(name).pid, unitOf(name).restarts], [pid, restarts]);
    machine.run(['kill', '-STOP', String(pid)]);
    await until('another one', async () => {
      const now = unitOf(name);
      assert.ok(now.state === 'active' && now.pid !== pid && now.restarts > restarts);
    });
    machine.run(['rm', '-r', folder]);
    machine.run(['systemctl', 'daemon-reload']);
    machine.run(['systemctl', 'restart', name]);
    assert.match(await glassOnce(['chat', 'once more']), /echo: .*once more/s);
  });

test('a configuration that is refused is not tried again and again', { skip }, async () => {
  machine.run(['sh', '-c', 'echo "no-such-key: 1" >> /etc/glassclaw/glass.yaml']);
  machine.run(['systemctl', 'restart', GATEWAY]);
  await until('it has given up', async () => assert.equal(unitOf(GATEWAY).state, 'failed'));
  assert.equal(unitOf(GATEWAY).restarts, 0);
  assert.equal(machine.glass(['service', 'status']).code, 6);
});

test('remove ends both and keeps what they knew', { skip }, () => {
  const removed = machine.glass(['service', 'remove']);
  assert.equal(removed.code, 0, removed.err);
  assert.match(removed.out, /kept: \/var\/lib\/glassclaw, \/var\/lib\/glassclaw-gateway, \/etc\/glassclaw/);
  assert.doesNotMatch(machine.run(['systemctl', 'is-active', GATEWAY, 'glassclaw.service']).out, /^active$/m);
  assert.equal(machine.run(['test', '-e', '/var/lib/glassclaw/ledger.db']).code, 0);
  assert.equal(machine.glass(['service', 'remove']).code, 0);
});
