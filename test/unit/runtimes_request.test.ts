import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DOCKER, PODMAN } from '../../src/runtimes/dialect.ts';
import { type ContainerPlan, containerRequest } from '../../src/runtimes/docker_request.ts';
import { demultiplexer, engineSocket, podmanSocket } from '../../src/runtimes/engine.ts';
import { trialKey, unknownRuntime } from '../../src/runtimes/oci_runtime.ts';
import type { Bind } from '../../src/runtimes/runtime.ts';
import { sandboxSpec } from '../e2e/runtimes_kit.ts';

const WORKSPACE: Bind = { source: '/tmp', target: '/workspace', access: 'write' };
const INNER: Bind = { source: '/usr', target: '/workspace/skills', access: 'read' };

function requestOf(change: Parameters<typeof sandboxSpec>[0] = {}, dialect = DOCKER) {
  const plan: ContainerPlan = {
    spec: sandboxSpec({ binds: [INNER, WORKSPACE], ...change }),
    user: { uid: 12, gid: 12 },
    image: 'base',
    dialect,
    seccomp: '/cache/filter.json',
    etc: '/cache/etc-1',
    disks: [{ id: '7:1', node: '/dev/loop1' }],
  };
  return containerRequest(plan);
}

describe('the request for a container', () => {
  const request = requestOf();
  const host = request.HostConfig;

  test('has no network, no capability, a read-only root and our filter', () => {
    assert.equal(host.NetworkMode, 'none');
    assert.equal(host.ReadonlyRootfs, true);
    assert.deepEqual(host.CapDrop, ['ALL']);
    assert.equal(request.User, '12:12');
    assert.deepEqual(host.SecurityOpt, ['no-new-privileges', 'seccomp=/cache/filter.json']);
  });

  test('carries every limit and label', () => {
    assert.equal(host.Memory, 128 * 2 ** 20);
    assert.equal(host.MemorySwap, host.Memory);
    assert.deepEqual(host.BlkioDeviceWriteBps, [{ Path: '/dev/loop1', Rate: 8 * 2 ** 20 }]);
    assert.equal(host.PidsLimit, 40);
    assert.equal(host.NanoCpus, 1e9);
    assert.equal(host.ShmSize, 4 * 2 ** 20);
    assert.match(host.Tmpfs['/tmp'], /nosuid,nodev,size=8388608,mode=1777$/);
    assert.deepEqual(request.Labels, { 'glassclaw.install': 'aaaaaaaaaa', 'glassclaw.session': 's1' });
  });

  test('mounts folders before what lies in them, with their access', () => {
    assert.deepEqual(
      host.Mounts.map((mount) => [mount.Target, mount.ReadOnly]),
      [
        ['/workspace', false],
        ['/workspace/skills', true],
      ],
    );
  });

  test('names the image of the spec, and the install’s where it names none', () => {
    assert.equal(request.Image, 'base');
    assert.equal(requestOf({ userland: { kind: 'image', ref: 'sha256:1' } }).Image, 'sha256:1');
  });

  test('names an OCI runtime only when the spec does, with room for its own threads', () => {
    assert.ok(!('Runtime' in host));
    const other = requestOf({ oci_runtime: 'runsc' }).HostConfig;
    assert.equal('Runtime' in other && other.Runtime, 'runsc');
    assert.equal(other.PidsLimit, 40 + 256);
  });

  test('covers for Podman what it would copy of the host, and closes what it would open', () => {
    const podman = requestOf({}, PODMAN).HostConfig;
    const covers = podman.Mounts.filter((mount) => mount.Target.startsWith('/etc/'));
    assert.deepEqual(
      covers.map((mount) => [mount.Source, mount.Target, mount.ReadOnly]),
      [
        ['/cache/etc-1/hosts', '/etc/hosts', true],
        ['/cache/etc-1/resolv.conf', '/etc/resolv.conf', true],
      ],
    );
    assert.deepEqual(Object.keys(podman.Tmpfs), ['/run', '/var/tmp', '/tmp']);
    assert.match((podman.Tmpfs as Record<string, string>)['/var/tmp']!, /^ro,/);
    assert.deepEqual(podman.Ulimits.at(-1), { Name: 'nproc', Soft: 32_768, Hard: 32_768 });
  });
});

describe('an OCI runtime', () => {
  const info = { ServerVersion: '20.10', DefaultRuntime: 'runc', Runtimes: { runc: {}, runsc: { path: '/no/runsc' } } };

  test('must be one that Docker knows', () => {
    assert.equal(unknownRuntime(DOCKER, info, 'runsc'), null);
    assert.match(unknownRuntime(DOCKER, info, 'kata')!, /does not know the OCI runtime kata/);
    assert.match(unknownRuntime(DOCKER, info, 'toString')!, /does not know/);
    assert.match(unknownRuntime(DOCKER, {}, 'runsc')!, /does not know/);
  });

  test('must be the one of Podman’s service, which ignores any other without a word', () => {
    assert.equal(unknownRuntime(PODMAN, { ...info, DefaultRuntime: 'runsc' }, 'runsc'), null);
    assert.match(unknownRuntime(PODMAN, info, 'runsc')!, /with runc, whatever is asked for/);
  });

  test('is tried again when the engine or its arguments change', () => {
    const other = { ...info, Runtimes: { runsc: { path: '/no/runsc', runtimeArgs: ['--host-uds=open'] } } };
    const keys = [
      trialKey(info, 'runsc'),
      trialKey(other, 'runsc'),
      trialKey({ ...info, ServerVersion: '29' }, 'runsc'),
    ];
    assert.equal(new Set(keys).size, 3);
    assert.equal(trialKey(info, 'runsc'), trialKey({ ...info }, 'runsc'));
  });
});

describe('the engine', () => {
  test('is found at a unix socket only', () => {
    assert.equal(engineSocket({}), '/var/run/docker.sock');
    assert.equal(engineSocket({ DOCKER_HOST: 'unix:///x.sock' }), '/x.sock');
    assert.equal(engineSocket({ DOCKER_HOST: 'tcp://1.2.3.4:2375' }), null);
    assert.equal(podmanSocket({}, 0), '/run/podman/podman.sock');
    assert.equal(podmanSocket({ XDG_RUNTIME_DIR: '/run/user/7' }, 7), '/run/user/7/podman/podman.sock');
    assert.equal(podmanSocket({ CONTAINER_HOST: 'unix:///x.sock', DOCKER_HOST: 'unix:///y.sock' }, 0), '/x.sock');
    assert.equal(podmanSocket({ CONTAINER_HOST: 'ssh://me@there' }, 0), null);
  });

  test('sends framed output, which comes out whole however it was cut', () => {
    const frame = (text: string): Buffer => {
      const header = Buffer.from([1, 0, 0, 0, 0, 0, 0, text.length]);
      return Buffer.concat([header, Buffer.from(text)]);
    };
    const stream = Buffer.concat([frame('hello '), frame(''), frame('world')]);
    for (let size = 1; size <= stream.length; size += 1) {
      let text = '';
      const take = demultiplexer((chunk) => {
        text += chunk.toString();
      });
      for (let at = 0; at < stream.length; at += size) take(stream.subarray(at, at + size));
      assert.equal(text, 'hello world', `cut every ${size} bytes`);
    }
  });
});
