import { existsSync, readdirSync } from 'node:fs';
import { wantsRoot } from '../authority/authority.ts';
import { type InstallConfig, isGroupName, type OneCliConfig, type RuntimeName, readInstall } from '../base/config.ts';
import { messageOf } from '../base/errors.ts';
import { request } from '../base/http.ts';
import { MODEL_CONNECT_MS } from '../base/limits/gateway.ts';
import { DISK_FREE_BYTES_MIN } from '../base/limits/messages.ts';
import { isComplete } from '../base/packages.ts';
import type { Paths } from '../base/paths.ts';
import { showBytes } from '../base/text.ts';
import type { LimitState, Runtime } from '../runtimes/runtime.ts';
import { entriesOf, filesFindings } from './doctor_home.ts';
import { findLeft, hostRuns, leftoverFindings } from './doctor_leftovers.ts';
import { portFindings, readSurroundings, surroundingFindings, unitFindings } from './doctor_machine.ts';
import { type Finding, well } from './finding.ts';
import { APPARMOR_PROFILE, type Machine, OWN_BWRAP } from './machine.ts';
import { packagesNamed } from './package_sets.ts';

/** The findings, in the order in which they should be mended. Never rejects. */
export async function examine(
  paths: Paths,
  machine: Machine,
  runtimes: ReadonlyMap<RuntimeName, Runtime>,
): Promise<Finding[]> {
  const { install, finding } = configuration(paths, machine);
  const runtime = runtimes.get(install?.runtime ?? 'bubblewrap');
  const problems = (await runtime?.check()) ?? [];
  const limits = problems.length > 0 ? [] : ((await runtime?.limits()) ?? []);
  const lives = await hostRuns(paths);
  return [
    ...surroundingFindings(await readSurroundings(paths)),
    finding,
    // A service's folders have the modes that it was installed with.
    ...(paths.isService ? [] : homeFindings(paths.home, machine)),
    ...(paths.isService ? [] : filesOfHome(paths, machine)),
    ...(lives ? [] : leftoverFindings(await findLeft(paths, process.env), runtimes, paths.install)),
    ...(lives || install === null ? [] : await portFindings(install)),
    ...(install === null ? [] : packageFindings(paths.root, install)),
    runtimeFinding(runtime?.name ?? 'bubblewrap', problems, machine),
    ...limits.map((limit) => limitFinding(limit, machine)),
    workspaceFinding(machine),
    ...(install?.onecli === undefined ? [] : [await oneCliFinding(install.onecli)]),
    ...subordinateFindings(runtime?.name ?? '', rootedGroups(paths, install), machine),
    ...unitFindings(paths.root, '/'),
  ];
}

function filesOfHome(paths: Paths, { home }: Machine): Finding[] {
  return home === null ? [] : filesFindings(paths, entriesOf(paths), home);
}

export function packageFindings(root: string, install: InstallConfig): Finding[] {
  return packagesNamed(root, install).flatMap((set): Finding[] => {
    if (isComplete(set.folder)) return [];
    const says = `those of ${set.title} are not installed (${set.size_mb} MB)`;
    return [{ what: 'packages', state: 'problem', says, fix: set.command, mend: { do: 'packages', root, set } }];
  });
}

function configuration(paths: Paths, machine: Machine): { install: InstallConfig | null; finding: Finding } {
  const what = 'glass.yaml';
  if (machine.home === null) return { install: null, finding: well(what, 'there is none yet: ./glass up makes it') };
  try {
    return { install: readInstall(paths.config), finding: well(what, 'is taken') };
  } catch (error) {
    return { install: null, finding: { what, state: 'problem', says: messageOf(error), fix: `edit ${paths.config}` } };
  }
}

export function homeFindings(home: string, machine: Machine): Finding[] {
  const found: Finding[] = [];
  if (machine.home !== null && machine.home.uid !== machine.uid) {
    const says = `${home} belongs to uid ${machine.home.uid}, not to you (uid ${machine.uid})`;
    found.push({ what: 'home', state: 'problem', says, fix: 'set GLASS_HOME to a folder of your own' });
  }
  if (machine.home !== null && (machine.home.mode & 0o077) !== 0) {
    const says = `other accounts may look into ${home} (mode ${machine.home.mode.toString(8)})`;
    const mend = { do: 'mode', path: home, mode: 0o700 } as const;
    found.push({ what: 'home', state: 'weak', says, fix: `chmod 700 ${home}`, mend });
  }
  if (machine.free_bytes !== null && machine.free_bytes < DISK_FREE_BYTES_MIN) {
    const says = `${showBytes(machine.free_bytes)} are free there; messages are refused when it is full`;
    found.push({ what: 'disk', state: 'weak', says, fix: 'free some space' });
  }
  return found.length > 0 ? found : [well('home', machine.home === null ? 'is made by ./glass up' : 'is yours alone')];
}

/** What blocks user namespaces, most likely first: the runtime's own words say only that they are refused. */
export function runtimeFinding(name: string, problems: string[], machine: Machine): Finding {
  if (problems.length === 0) return well(name, 'starts sandboxes');
  const says = problems.join('; ');
  const refused = name === 'bubblewrap' && /user namespaces/.test(says);
  return { what: name, state: 'problem', says, fix: refused ? namespaceFix(machine) : null };
}

function namespaceFix(machine: Machine): string {
  if (machine.userns_clone === false) return 'sudo sysctl -w kernel.unprivileged_userns_clone=1';
  if (machine.max_user_namespaces === 0) return 'sudo sysctl -w user.max_user_namespaces=15000';
  if (machine.apparmor_restricts === true) {
    const copy = machine.own_bwrap ? [] : [`sudo install -D -m 755 /usr/bin/bwrap ${OWN_BWRAP}`];
    return [
      ...copy,
      `sudo install -m 644 deploy/apparmor/glassclaw-bwrap ${APPARMOR_PROFILE}`,
      `sudo apparmor_parser -r ${APPARMOR_PROFILE}`,
    ].join(' && ');
  }
  return 'inside a container, start it with user namespaces allowed (docker run --security-opt seccomp=unconfined), or use runtime: docker';
}

/** Without a limit a group can take the machine; the promise is weaker, and said. */
export function limitFinding(limit: LimitState, machine: Machine): Finding {
  const what = `limit ${limit.name}`;
  if (limit.state === 'enforced') return well(what, `enforced: ${limit.reason}`);
  const fix =
    machine.uid === 0
      ? 'mount the control groups of this kernel writable, or start it as a systemd unit with Delegate=yes'
      : 'systemd-run --user --scope -p Delegate=yes ./glass up, or install it as a systemd unit with Delegate=yes';
  return { what, state: 'weak', says: `${limit.state}: ${limit.reason}`, fix };
}

function workspaceFinding(machine: Machine): Finding {
  if (machine.uid === 0 && machine.loop_devices) return well('workspace size', 'enforced: each group has a disk image');
  const says =
    'watched: measured while a sandbox lives, which is ended some seconds after it is passed (a hard limit needs root)';
  return {
    what: 'workspace size',
    state: 'weak',
    says,
    fix: machine.uid === 0 ? 'modprobe loop' : null,
  };
}

/** Requests of services that go through OneCLI are refused while it does not answer. */
export async function oneCliFinding({ gateway }: OneCliConfig): Promise<Finding> {
  const what = 'onecli';
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  const asked = request(`${gateway}/healthz`, { agent: false, signal: AbortSignal.timeout(MODEL_CONNECT_MS) });
  asked.on('response', (reply) => resolve(reply.resume().statusCode));
  asked.on('error', () => resolve(undefined));
  asked.end();
  const status = await promise;
  if (status === 200) return well(what, `answers at ${gateway}`);
  const says = `${gateway}/healthz ${status === undefined ? 'does not answer' : `answers with ${status}`}`;
  return { what, state: 'weak', says, fix: 'start OneCLI; until it answers, what goes via onecli is refused' };
}

/**
 * Rootless Podman maps a group's files to ranges that the account must have, and so does the making of a root that bubblewrap starts a
 * group from: `rooted` are the groups that ask for one.
 */
export function subordinateFindings(runtime: string, rooted: readonly string[], machine: Machine): Finding[] {
  if ((runtime !== 'podman' && rooted.length === 0) || machine.uid === 0) return [];
  const what = 'subordinate ids';
  const whose = runtime === 'podman' ? '' : `, and the programs of ${rooted.join(', ')} are made with them`;
  const found: Finding[] = [];
  if (!machine.subordinate_ids) {
    const user = machine.user ?? String(machine.uid);
    const fix = `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${user}`;
    found.push({ what, state: 'problem', says: `${user} has no ranges in /etc/subuid and /etc/subgid${whose}`, fix });
  }
  if (!machine.uidmap) {
    const says = `newuidmap and newgidmap, which map them, are missing${whose}`;
    found.push({ what, state: 'problem', says, fix: 'sudo apt install uidmap' });
  }
  return found.length > 0 ? found : [well(what, 'are there')];
}

/** Groups whose file asks for a root of their own; a file that is refused is told of by `group plan`. */
export function rootedGroups(paths: Paths, install: InstallConfig | null): string[] {
  if (install === null || !existsSync(paths.groups)) return [];
  const isRooted = (group: string): boolean => {
    try {
      return wantsRoot(paths.group(group).yaml, install);
    } catch {
      return false;
    }
  };
  return readdirSync(paths.groups).filter(isGroupName).filter(isRooted).sort();
}
