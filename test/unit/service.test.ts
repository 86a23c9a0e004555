import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathsOf } from '../../src/base/paths.ts';
import { serviceOf, servicePlaces, withService } from '../../src/base/service.ts';
import { checkoutProblem, removeFiles, serviceFiles, UNITS, writeFiles } from '../../src/operations/service.ts';
import { remove } from '../fakes/remove.ts';

/** The files of the service: what is in them, and where they say that things lie. */

const CHECKOUT = '/opt/glassclaw';
const NODE = '/opt/glassclaw/.node/bin/node';
/** 1.3 and 3.0 by systemd 252; each version counts a little differently. */
const EXPOSURE_MAX = { 'glassclaw-gateway.service': 2.5, 'glassclaw.service': 4 };

function folder(context: TestContext, within = tmpdir()): string {
  const made = mkdtempSync(join(within, 'glass-service-'));
  context.after(() => remove(made));
  return made;
}

/** By path. */
function rendered(): Map<string, string> {
  return new Map(serviceFiles(CHECKOUT, NODE, '/nonexistent').map(({ path, text }) => [path, text]));
}

function unit(name: string): string {
  return rendered().get(`/etc/systemd/system/${name}`)!;
}

/** Values of a setting, in order. */
function settings(text: string, name: string): string[] {
  return [...text.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value]) => value!);
}

test('every place of the service is made by its tmpfiles, for the account that writes there and the group that may enter', () => {
  const { home, gatewayHome, config, hostRun, gatewayRun, controlRun, vaultRun } = servicePlaces('/');
  const lines = rendered().get('/etc/tmpfiles.d/glassclaw.conf')!.split('\n');
  const made = Object.fromEntries(
    lines
      .filter((line) => line.startsWith('d '))
      .map((line) => [line.split(/ +/)[1], line.split(/ +/).slice(2, 5).join(' ')]),
  );
  assert.deepEqual(made, {
    [config]: '0755 root root',
    [home]: '0710 glassclaw glassclaw-gateway',
    [`${home}/authorities`]: '2750 glassclaw glassclaw-gateway',
    ...Object.fromEntries(
      ['blobs', 'cache', 'groups', 'logs', 'sessions'].map((name) => [join(home, name), '0700 glassclaw glassclaw']),
    ),
    [gatewayHome]: '0700 glassclaw-gateway glassclaw-gateway',
    '/run/glassclaw': '0755 root root',
    [hostRun]: '0700 glassclaw glassclaw',
    [controlRun]: '2710 glassclaw glassclaw-operators',
    [gatewayRun]: '2710 glassclaw-gateway glassclaw',
    [vaultRun]: '2710 glassclaw-gateway glassclaw-operators',
  });
});

test('the units run this checkout as their accounts, and each writes to its own places only', () => {
  const { home, gatewayHome, hostRun, gatewayRun, controlRun, vaultRun } = servicePlaces('/');
  const [host, gateway] = UNITS.map(unit);
  assert.deepEqual(settings(host!, 'ExecStart'), [`${NODE} --disable-sigusr1 ${CHECKOUT}/src/host.ts`]);
  assert.deepEqual(settings(gateway!, 'ExecStart'), [`${NODE} --disable-sigusr1 ${CHECKOUT}/src/gateway.ts`]);
  assert.deepEqual(settings(host!, 'ReadWritePaths'), [`${home} ${hostRun} ${controlRun}`]);
  assert.deepEqual(settings(gateway!, 'ReadWritePaths'), [`${gatewayHome} ${gatewayRun} ${vaultRun}`]);
  assert.deepEqual(settings(host!, 'User'), ['glassclaw']);
  assert.deepEqual(settings(gateway!, 'User'), ['glassclaw-gateway']);
  for (const text of [host!, gateway!]) {
    assert.doesNotMatch(text, /@[A-Z]+@/, 'everything is filled in');
    assert.ok(settings(text, 'Environment').includes('GLASS_SERVICE=/'));
    assert.deepEqual(settings(text, 'CapabilityBoundingSet'), ['']);
    assert.deepEqual([...settings(text, 'LimitCORE'), ...settings(text, 'UMask')], ['0', '0077']);
    assert.deepEqual([...settings(text, 'Restart'), ...settings(text, 'RestartSec')], ['always', '100ms']);
  }
});

test('an encrypted key that lies there is given to the gateway, and to nobody else', (context) => {
  const below = folder(context);
  const name = 'glassclaw-vault-key';
  mkdirSync(join(below, 'etc/credstore.encrypted'), { recursive: true });
  writeFileSync(join(below, 'etc/credstore.encrypted', name), '');
  const lines = serviceFiles(CHECKOUT, NODE, below).flatMap(({ text }) => settings(text, 'LoadCredentialEncrypted'));
  assert.deepEqual(lines, [`${name}:/etc/credstore.encrypted/${name}`]);
  assert.deepEqual(settings(unit('glassclaw-gateway.service'), 'LoadCredentialEncrypted'), []);
});

test('a checkout whose path a unit cannot name is refused', () => {
  assert.throws(() => serviceFiles('/opt/glass claw', NODE, '/'), { code: 'config' });
  assert.throws(() => serviceFiles(CHECKOUT, '/opt/%h/node', '/'), { code: 'config' });
});

test('files are written once, the operator’s configuration never again, and removed without it', (context) => {
  const below = folder(context);
  const files = serviceFiles(CHECKOUT, NODE, '/nonexistent');
  assert.deepEqual(
    writeFiles(files, below),
    files.map(({ path }) => path),
  );
  assert.deepEqual(writeFiles(files, below), []);
  const config = join(below, 'etc/glassclaw/glass.yaml');
  writeFileSync(config, 'runtime: docker\n');
  const changed = join(below, 'etc/systemd/system/glassclaw.service');
  writeFileSync(changed, '');
  assert.deepEqual(writeFiles(files, below), ['/etc/systemd/system/glassclaw.service']);
  assert.equal(statSync(changed).mode & 0o777, 0o644);
  assert.equal(readFileSync(config, 'utf8'), 'runtime: docker\n');
  assert.equal(removeFiles(files, below).length, files.length - 1);
  assert.deepEqual(removeFiles(files, below), []);
  assert.ok(existsSync(config));
});

const SHARED = '/dev/shm'; // not hidden from a unit, as the temporary folders are

test('a checkout that the accounts cannot read, or the units do not see, is told', (context) => {
  assert.match(checkoutProblem('/root/glassclaw', process.execPath)!.says, /see nothing of \/root/);
  assert.match(checkoutProblem('/tmp/glassclaw', process.execPath)!.says, /see nothing of \/tmp/);
  const closed = folder(context, SHARED);
  const root = join(closed, 'glassclaw');
  for (const part of ['src', 'sandbox/runner', 'node_modules'])
    mkdirSync(join(root, part), { recursive: true, mode: 0o755 });
  for (const file of ['src/gateway.ts', 'src/host.ts', 'sandbox/runner/runner.ts', 'node']) {
    writeFileSync(join(root, file), '');
    chmodSync(join(root, file), 0o644);
  }
  const node = join(root, 'node');
  const { says, fix } = checkoutProblem(root, node)!;
  assert.match(says, new RegExp(`${closed} is closed`));
  assert.match(fix, new RegExp(`^chmod o\\+rX ${closed}`));
  for (const path of [
    closed,
    root,
    join(root, 'src'),
    join(root, 'sandbox'),
    join(root, 'sandbox/runner'),
    join(root, 'node_modules'),
  ])
    chmodSync(path, 0o755);
  assert.equal(checkoutProblem(root, node), null);
  chmodSync(join(root, 'src/gateway.ts'), 0o600);
  assert.match(checkoutProblem(root, node)!.says, /gateway\.ts is closed/);
});

test('without a word of a service gateway and host share everything', () => {
  assert.equal(serviceOf({}), null);
  const paths = pathsOf('/srv/glass', { XDG_RUNTIME_DIR: '/run/user/1' });
  assert.equal(paths.gatewayHome, paths.home);
  assert.equal(paths.gatewayRun, paths.run);
  assert.equal(paths.socketMode, 0o600);
  assert.equal(paths.gatewayLogs, paths.logs);
  assert.deepEqual(paths.own, [paths.home, paths.run]);
});

test('a service has two of everything, and none of it can be mounted into a group', () => {
  const env = { GLASS_SERVICE: '/' };
  const paths = pathsOf(servicePlaces('/').home, env);
  for (const path of [paths.vault, paths.vaultKey, paths.audit, paths.caKey, paths.gatewayLogs])
    assert.ok(path.startsWith('/var/lib/glassclaw-gateway/'), path);
  for (const path of [paths.config, paths.prices]) assert.ok(path.startsWith('/etc/glassclaw/'), path);
  assert.equal(paths.session('s1').egress, '/run/glassclaw/gateway/s1/egress.sock');
  assert.equal(paths.session('s1').hatch, '/run/glassclaw/host/s1/hatch.sock');
  for (const place of Object.values(servicePlaces('/'))) assert.ok(paths.own.includes(place), place);
});

test('the command line takes the home of an installed service for the service', () => {
  const other = { GLASS_HOME: '/srv/glass' };
  assert.equal(withService(other), other);
  const installed = existsSync(servicePlaces('/').config);
  assert.equal(withService({ GLASS_HOME: '/var/lib/glassclaw' })['GLASS_SERVICE'], installed ? '/' : undefined);
});

/** Since 250 it judges files of units that are not installed. */
function cannotAnalyse(): string | false {
  const { status, stdout } = spawnSync('systemd-analyze', ['--version'], { encoding: 'utf8' });
  if (status !== 0) return 'there is no systemd-analyze';
  const version = Number(/^systemd (\d+)/.exec(stdout)?.[1]);
  return version >= 250 ? false : `systemd-analyze ${version} is too old`;
}
const skip = cannotAnalyse();

function analyse(context: TestContext, ...words: string[]): (unit: string) => string {
  const below = folder(context);
  // A program that is not there would be a finding.
  writeFiles(serviceFiles(CHECKOUT, '/bin/sh', below), below);
  return (unit) => {
    const file = join(below, 'etc/systemd/system', unit);
    const { stdout, stderr } = spawnSync('systemd-analyze', [...words, file], { encoding: 'utf8' });
    return stdout + stderr;
  };
}

test('systemd takes the units without a word', { skip }, (context) => {
  const verify = analyse(context, 'verify');
  // Of other units of this machine it may have something to say.
  for (const unit of UNITS)
    assert.deepEqual(
      verify(unit)
        .split('\n')
        .filter((line) => line.includes('glassclaw')),
      [],
    );
});

test('the units are no more exposed than is promised', { skip }, (context) => {
  const security = analyse(context, 'security', '--offline=true', '--no-pager');
  for (const unit of UNITS) {
    const found = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(security(unit))?.[1]);
    assert.ok(found <= EXPOSURE_MAX[unit], `${unit}: ${found}`);
  }
});
