import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Cgroups } from '../../src/runtimes/cgroup.ts';
import { sandboxSpec } from '../e2e/runtimes_kit.ts';

/** Plain folders stand in for the kernel's: which files are written with what is the decision under test. */
const base = mkdtempSync(join(tmpdir(), 'glass-cgroup-'));
after(() => rmSync(base, { recursive: true }));

function host(name: string, files: Record<string, string>, uid: number, self = '0::/unit\n') {
  const root = join(base, name);
  mkdirSync(root);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return { root, self, uid, pid: 77 };
}

const { limits } = sandboxSpec();
const DISK = { id: '7:1', node: '/dev/loop1' };

describe('control groups of version 1', () => {
  const files = { 'memory/tasks': '', 'pids/tasks': '', 'blkio/blkio.throttle.write_bps_device': '' };

  test('hold each limit in a folder of the install and the session', () => {
    const machine = host('v1', files, 0);
    const cgroups = new Cgroups(machine);
    const group = cgroups.create('inst', 's1', limits, [DISK]);
    const read = (path: string): string => readFileSync(join(machine.root, path), 'utf8');
    assert.equal(read('memory/glassclaw/inst/sandboxes/s1/memory.limit_in_bytes'), String(limits.memory_bytes));
    assert.equal(read('pids/glassclaw/inst/sandboxes/s1/pids.max'), '40');
    assert.equal(read('blkio/glassclaw/inst/sandboxes/s1/blkio.throttle.write_bps_device'), `7:1 ${8 * 2 ** 20}`);
    assert.equal(read('blkio/glassclaw/inst/sandboxes/s1/blkio.throttle.write_iops_device'), '7:1 128');
    assert.deepEqual(
      group.joins,
      ['memory', 'pids', 'blkio'].map((name) => join(machine.root, name, 'glassclaw/inst/sandboxes/s1/cgroup.procs')),
    );
    writeFileSync(
      join(machine.root, 'memory/glassclaw/inst/sandboxes/s1/memory.oom_control'),
      'under_oom 0\noom_kill 2\n',
    );
    assert.equal(group.oomKills(), 2);
    writeFileSync(group.joins[0]!, '12\n13\n');
    assert.deepEqual(cgroups.pids('inst'), [12, 13]);
    assert.deepEqual(cgroups.pids('other'), []);
  });

  test('put the host beside the sandboxes of the install, and these behind it', () => {
    const idle = 'cpu/glassclaw/inst/sandboxes/cpu.idle';
    const machine = host('v1-idle', { ...files, [idle]: '0' }, 0);
    new Cgroups(machine).create('inst', 's1', limits, [DISK]);
    assert.equal(readFileSync(join(machine.root, idle), 'utf8'), '1');
    assert.equal(readFileSync(join(machine.root, 'cpu/glassclaw/inst/host/cgroup.procs'), 'utf8'), '77');
  });

  test('say which controller is missing', () => {
    const cgroups = new Cgroups(host('v1-cpu', files, 0));
    assert.equal(cgroups.state('pids', 'pids').state, 'enforced');
    assert.deepEqual(cgroups.state('cpus', 'cpu'), {
      name: 'cpus',
      state: 'absent',
      reason: 'this kernel has no cpu control group mounted',
    });
  });

  test('are absent for an ordinary user', () => {
    const machine = host('v1-user', files, 1000);
    const cgroups = new Cgroups(machine);
    assert.match(cgroups.missing('memory')!, /need root/);
    assert.deepEqual(cgroups.create('inst', 's1', limits, [DISK]).joins, []);
    assert.ok(!existsSync(join(machine.root, 'memory/glassclaw')));
  });
});

describe('control groups of version 2', () => {
  test('of a delegated unit: the host moves to a leaf, and every level passes the controllers on', () => {
    const controllers = { 'cgroup.controllers': 'memory pids io', 'unit/cgroup.controllers': 'memory pids io' };
    const machine = host('v2', controllers, 1000);
    const cgroups = new Cgroups(machine);
    const read = (path: string): string => readFileSync(join(machine.root, 'unit', path), 'utf8');
    assert.equal(read('glassclaw/host/cgroup.procs'), '77');
    const group = cgroups.create('inst', 's1', limits, [DISK]);
    for (const level of ['', 'glassclaw/', 'glassclaw/inst/', 'glassclaw/inst/sandboxes/']) {
      assert.equal(read(`${level}cgroup.subtree_control`), '+memory +pids +io');
    }
    assert.equal(read('glassclaw/inst/sandboxes/s1/memory.max'), String(limits.memory_bytes));
    assert.equal(read('glassclaw/inst/sandboxes/s1/pids.max'), '40');
    assert.equal(read('glassclaw/inst/sandboxes/s1/io.max'), `7:1 wbps=${8 * 2 ** 20} wiops=128`);
    assert.deepEqual(group.joins, [join(machine.root, 'unit/glassclaw/inst/sandboxes/s1/cgroup.procs')]);
    assert.equal(cgroups.missing('cpu'), 'the cpu controller is not delegated');
  });

  test('are absent with the reason where nothing is delegated', () => {
    const cgroups = new Cgroups(host('v2-none', { 'cgroup.controllers': 'memory' }, 1000));
    assert.match(cgroups.missing('memory')!, /not delegated.*Delegate=yes/);
  });
});
