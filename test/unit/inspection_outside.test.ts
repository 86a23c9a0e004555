import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hostObservations, ratesOf } from '../../src/evidence/inspection/outside.ts';
import { countOf, limitFile } from '../../src/runtimes/limit_hits.ts';

/** What the host's kernel says of a sandbox, and where it says it. */

describe('the view from outside', () => {
  test('says what it may not look at, and takes it for no answer', () => {
    const ids = { image: 'none', uid: '1', gid: '1', groups: '', caps: '0', no_new_privs: '1', seccomp: '2' };
    const limits = { pids: '1', memory: '1', swap: '1', cpus: '1', disk_write: '1', disk_writes: '1' };
    const seen = new Map(hostObservations({ ...ids, ...limits, namespaces: { net: 'EACCES', ipc: 'ipc:[1]' } }));
    assert.ok('not_run' in seen.get('host.namespace.net')!);
    assert.deepEqual(seen.get('host.namespace.ipc'), { value: 'ipc:[1]' });
    assert.deepEqual(seen.get('host.seccomp'), { value: '2' });
  });
});

test('what a disk may be written is read from either version of control groups', () => {
  const unified = '7:1 rbps=max wbps=20971520 riops=max wiops=320\n7:2 rbps=max wbps=20971520 riops=max wiops=320\n';
  assert.deepEqual([ratesOf(unified, 'wbps'), ratesOf(unified, 'wiops')], ['20971520', '320']);
  assert.deepEqual([ratesOf('7:1 320\n7:2 9\n', 'wiops'), ratesOf('none', 'wiops')], ['320 9', 'none']);
  assert.equal(ratesOf('7:1 rbps=max wbps=1 riops=max wiops=max', 'wiops').includes('320'), false);
});

test('a limit is looked up in the version of control groups that has its controller', () => {
  const file = (groups: string): string => limitFile(groups, 'cpu', 'cpu.cfs_quota_us', 'cpu.max');
  assert.equal(file('0::/a/b\n'), '/sys/fs/cgroup/a/b/cpu.max');
  assert.equal(file('4:cpu,cpuacct:/c\n1:name=systemd:/\n0::/a\n'), '/sys/fs/cgroup/cpu/c/cpu.cfs_quota_us');
  assert.equal(file('4:cpuset:/c\n0::/a\n'), '/sys/fs/cgroup/a/cpu.max');
});

test('what a control group has stopped is read by its whole name', () => {
  assert.equal(countOf('low 0\nmax 5\noom 3\noom_kill 2\noom_group_kill 1\n', 'oom_kill'), 2);
  assert.equal(countOf('oom_kill_disable 0\nunder_oom 0\noom_kill 7\n', 'oom_kill'), 7);
  assert.equal(countOf('max 12\n', 'max'), 12);
  assert.equal(countOf('', 'max'), 0);
});
