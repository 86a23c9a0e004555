import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LimitState, Runtime } from '../../src/runtimes/runtime.ts';
import * as kit from './runtimes_kit.ts';

/** The limits of a sandbox, each tried from inside; one that this machine does not have is skipped with the reason. */

/** `limits`: what the runtime says of them. */
export function limitTests(
  runtime: Runtime,
  limits: LimitState[],
  home: kit.Home,
  outOfMemory = /^out of memory$/,
): void {
  const absent = (name: string): string | false => {
    const state = limits.find((limit) => limit.name === name);
    return state?.state === 'enforced' ? false : `${name}: ${state?.reason}`;
  };

  test('tells of every limit whether it holds', () => {
    const names = limits.map((limit) => limit.name);
    assert.deepEqual(names.sort(), Object.keys(kit.sandboxSpec().limits).sort());
  });

  test('cannot fork without end', { skip: absent('pids') }, async () => {
    const { output } = await kit.ran(runtime, home.spec('bomb', kit.FORK_BOMB));
    const forks = Number(/forks=(\d+)/.exec(output)?.[1]);
    assert.ok(forks > 10 && forks < 40, `${forks} forks of 40`);
  });

  test('ends "out of memory" when it takes too much', { skip: absent('memory_bytes') }, async () => {
    const { exit, output } = await kit.ran(runtime, home.spec('hog', kit.MEMORY_HOG));
    assert.match(exit.reason ?? '', outOfMemory);
    assert.ok(!output.includes('allocated'));
  });

  test('cannot fill /tmp beyond its size', async () => {
    const { output } = await kit.ran(runtime, home.spec('tmp', kit.TMP_FILL));
    assert.match(output, /size=8388608/);
  });

  test('cannot fill /dev/shm beyond its size', async () => {
    const { output } = await kit.ran(runtime, home.spec('shm', kit.SHM_FILL));
    assert.match(output, /size=4194304/);
  });

  test('cannot use more of a processor than its share', { skip: absent('cpus') }, async () => {
    const limits = { ...kit.sandboxSpec().limits, cpus: 0.2 };
    const { output } = await kit.ran(runtime, home.spec('busy', kit.BUSY_LOOP, { limits }));
    const share = Number(/share=([\d.]+)/.exec(output)?.[1]);
    assert.ok(share > 0 && share <= 0.3, `${share} of 0.2`);
  });

  test('cannot write faster than it may', { skip: absent('disk_write_bytes') }, async () => {
    const { output } = await kit.ran(runtime, home.spec('writer', kit.SYNCED_WRITE));
    const took_ms = Number(/ms=(\d+)/.exec(output)?.[1]);
    assert.ok(took_ms > 2000, `24 MiB at 8 MiB a second took ${took_ms} ms`);
  });

  test('cannot open files without end', async () => {
    const { output } = await kit.ran(runtime, home.spec('files', kit.FILE_HOARD));
    const open = Number(/open=(\d+)/.exec(output)?.[1]);
    assert.ok(open > 250 && open <= 256, `${open} descriptors of 256`);
  });
}
