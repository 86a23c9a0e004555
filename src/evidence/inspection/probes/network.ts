import type { Dial } from '../../../protocol/inspection.ts';
import type { Expectation, Probe, ProbeGroup } from './probe.ts';

/** What must not be reachable. Nobody is contacted even if the network is open: the outside is an address for documentation. */

const UNREACHABLE: Expectation = { one_of: ['ENETUNREACH'] };
/** Without any address of the family, the kernel says so in one of three ways. */
const UNREACHABLE_6: Expectation = { one_of: ['ENETUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'] };
const NOT_THERE: Expectation = { one_of: ['ENOENT'] };
const REFUSED: Expectation = { one_of: ['ECONNREFUSED'] };

interface DialProbe {
  dial: Dial;
  what: string;
  expect: Expectation;
}

const ADDRESSES: readonly DialProbe[] = [
  tcp('metadata', '169.254.169.254', 80, 'ask a cloud’s metadata service for credentials', UNREACHABLE),
  tcp('metadata6', 'fd00:ec2::254', 80, 'ask it by IPv6', UNREACHABLE_6),
  tcp('private', '10.0.0.1', 80, 'reach a private network', UNREACHABLE),
  tcp('bridge', '172.17.0.1', 80, 'reach the host through an engine’s bridge', UNREACHABLE),
  tcp('public', '192.0.2.1', 443, 'connect to a public address', UNREACHABLE),
  tcp('public6', '2001:db8::1', 443, 'connect to a public address by IPv6', UNREACHABLE_6),
  {
    dial: { name: 'udp', kind: 'udp', to: '192.0.2.1', port: 53 },
    what: 'send a datagram to a name server',
    expect: UNREACHABLE,
  },
  {
    dial: { name: 'name', kind: 'name', to: 'example.com', port: 0 },
    what: 'resolve a name, as a way to carry data out',
    expect: { one_of: ['EAI_AGAIN', 'ENOTFOUND'] },
  },
];

const SOCKETS: readonly DialProbe[] = [
  unix('docker', '/var/run/docker.sock', 'the docker engine'),
  unix('docker_run', '/run/docker.sock', 'the docker engine below /run'),
  unix('podman', '/run/podman/podman.sock', 'the podman service'),
  unix('containerd', '/run/containerd/containerd.sock', 'containerd'),
  unix('crio', '/run/crio/crio.sock', 'CRI-O'),
  unix('systemd', '/run/systemd/private', 'the host’s init'),
  unix('notify', '/run/systemd/notify', 'the host’s service manager'),
  unix('dbus', '/run/dbus/system_bus_socket', 'the system bus'),
  unix('snapd', '/run/snapd.socket', 'snapd'),
  unix('lxd', '/var/lib/lxd/unix.socket', 'LXD'),
  unix('x11', '/tmp/.X11-unix/X0', 'a display'),
];

/** The port and the names that only a run knows. */
export interface HostEnds {
  loopback_port: number;
  abstract: string;
  /** An address of this host other than loopback, or null. */
  address: string | null;
}

export function dials(host: HostEnds): Dial[] {
  return [
    ...[...ADDRESSES, ...SOCKETS].map(({ dial }) => dial),
    { name: 'loopback', kind: 'tcp', to: '127.0.0.1', port: host.loopback_port },
    { name: 'abstract', kind: 'abstract', to: host.abstract, port: 0 },
    ...(host.address === null
      ? []
      : [{ name: 'host', kind: 'tcp', to: host.address, port: host.loopback_port } as const]),
  ];
}

export function networkProbes(host: HostEnds): Probe[] {
  const noAddress: Expectation = { not_run: 'this host has no address but loopback' };
  return [
    quick('network', 'network.links', 'use an interface other than loopback', { one_of: ['lo'] }),
    quick('network', 'network.routes', 'use a route', { one_of: ['none'] }),
    ...ADDRESSES.map((probe) => dialled('network', probe)),
    {
      ...quick('network', 'dial.loopback', 'reach a port on the host’s loopback', REFUSED),
      control: 'control.loopback',
    },
    quick('network', 'dial.host', 'reach the host by its own address', host.address === null ? noAddress : UNREACHABLE),
    {
      ...quick('sockets', 'dial.abstract', 'reach an abstract socket of the host', REFUSED),
      control: 'control.abstract',
    },
    quick('sockets', 'network.abstract', 'see an abstract socket of the host', { one_of: ['none'] }),
    ...SOCKETS.map((probe) => dialled('sockets', probe)),
    quick('sockets', 'sockets.foreign', 'see a socket beside the session’s own', { one_of: ['none'] }),
    quick('sockets', 'control.socket', 'reach the session’s own socket (must work)', { one_of: ['ok'] }),
  ];
}

function dialled(group: ProbeGroup, { dial, what, expect }: DialProbe): Probe {
  return quick(group, `dial.${dial.name}`, what, expect);
}

function quick(group: ProbeGroup, id: string, what: string, expect: Expectation): Probe {
  return { id, group, what, reads: id, expect, depth: 'quick' };
}

function tcp(name: string, to: string, port: number, what: string, expect: Expectation): DialProbe {
  return { dial: { name, kind: 'tcp', to, port }, what, expect };
}

function unix(name: string, to: string, what: string): DialProbe {
  return { dial: { name, kind: 'unix', to, port: 0 }, what: `reach ${what} (${to})`, expect: NOT_THERE };
}
