import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { WORKSPACE_BYTES_MIN } from '../../src/base/limits/sandbox.ts';
import { type Paths, pathsOf, prepareHome, ROOT } from '../../src/base/paths.ts';
import type { Inspection, InspectionInput } from '../../src/evidence/inspection/inspection.ts';
import { engineSocket } from '../../src/runtimes/engine.ts';
import type { Runtime, SandboxSpec } from '../../src/runtimes/runtime.ts';
import { sessionSpec } from '../../src/sessions/spec.ts';
import { readFixture } from '../fakes/authorities.ts';
import { remove } from '../fakes/remove.ts';

/** A home with one group, as the host makes it, and the spec of an inspection of that group. */

export const IS_ROOT = process.geteuid!() === 0;
/** Above the range that groups get by default. */
const GROUP_UID = IS_ROOT ? 2_000_060_000 : null;
const SESSION = 's1';
const GROUP_YAML =
  'harness: probe\nlimits: { memory: 512MiB, pids: 100, tmp: 32MiB }\nmodel: { provider: ollama, name: none }\n';

export class InspectedHome {
  readonly #home = mkdtempSync(join(tmpdir(), 'glass-inspect-'));
  readonly paths: Paths = pathsOf(this.#home, process.env);
  readonly spec: SandboxSpec;
  /** 0: the workspace is a plain folder, and no file system caps it. */
  #workspace_bytes = 0;

  constructor() {
    const { paths } = this;
    prepareHome(paths);
    const files = paths.group('tested');
    for (const folder of [files.workspace, files.skills]) mkdirSync(folder, { recursive: true });
    writeFileSync(files.yaml, GROUP_YAML);
    writeFileSync(files.instructions, 'Be kind.\n');
    const { state, inbox } = paths.session(SESSION);
    const codeCache = join(paths.cache, 'code');
    for (const folder of [state, inbox, codeCache]) mkdirSync(folder, { recursive: true });
    for (const folder of [inbox, codeCache]) chmodSync(folder, 0o755);
    if (GROUP_UID !== null) for (const folder of [state, files.workspace]) chownSync(folder, GROUP_UID, GROUP_UID);
    const authority = readFixture(files.yaml, undefined, 'tested');
    // An ordinary user's checkout has a Node of its own, which its sandboxes' account owns.
    const node = GROUP_UID === null ? join(this.#home, 'node') : process.execPath;
    if (GROUP_UID === null) copyFileSync(process.execPath, node);
    this.spec = sessionSpec({
      paths,
      authority,
      image: null,
      session: SESSION,
      harness: 'probe',
      uid: GROUP_UID,
      node,
      codeCache,
    });
  }

  /** Gives the workspace a file system of its own, by the code of `root`, until what is returned is disposed of. */
  async mountWorkspace(root: string): Promise<AsyncDisposable> {
    const url = pathToFileURL(join(root, 'src/runtimes/workspace_image.ts')).href;
    const { mountWorkspace, unmountWorkspace } = (await import(
      url
    )) as typeof import('../../src/runtimes/workspace_image.ts');
    const { workspace: folder, image } = this.paths.group('tested');
    this.#workspace_bytes = WORKSPACE_BYTES_MIN;
    await mountWorkspace({ folder, image, uid: GROUP_UID!, bytes: WORKSPACE_BYTES_MIN });
    return {
      [Symbol.asyncDispose]: async () => {
        this.#workspace_bytes = 0;
        await unmountWorkspace(folder);
        rmSync(image);
        // Below a mount the folder is closed to the group.
        chownSync(folder, GROUP_UID!, GROUP_UID!);
        chmodSync(folder, 0o755);
      },
    };
  }

  async input(
    runtime: InspectionInput['runtime'],
    depth: InspectionInput['depth'] = 'quick',
  ): Promise<InspectionInput> {
    return {
      runtime,
      spec: this.spec,
      profile: runtime.name,
      depth,
      run: this.paths.session(SESSION).run,
      canary: null,
      workspace_bytes: this.#workspace_bytes,
      absent: [
        ...(this.#workspace_bytes === 0 ? ['workspace_bytes' as const] : []),
        ...(await runtime.limits()).filter(({ state }) => state === 'absent').map(({ name }) => name),
      ],
    };
  }

  remove(): void {
    if (existsSync(this.paths.run)) rmSync(this.paths.run, { recursive: true, force: true });
    remove(this.#home);
  }
}

/** The probes that did not pass, as lines for a person. */
export function redLines(inspection: Inspection): string[] {
  return inspection.probes
    .filter(({ state }) => state === 'failed')
    .map(({ id, expected, seen }) => `${id}: expected ${expected}, seen ${seen}`);
}

/** The runtime of this source, or of a copy of it at `root`. */
export async function runtimeOf(name: Runtime['name'], { paths }: InspectedHome, root = ROOT): Promise<Runtime> {
  const load = (file: string): Promise<unknown> => import(pathToFileURL(join(root, 'src/runtimes', file)).href);
  if (name === 'docker') {
    const { DockerRuntime } = (await load('docker.ts')) as typeof import('../../src/runtimes/docker.ts');
    return new DockerRuntime({ socket: engineSocket(process.env), cache: paths.cache, run: paths.run });
  }
  const { BubblewrapRuntime } = (await load('bubblewrap.ts')) as typeof import('../../src/runtimes/bubblewrap.ts');
  return new BubblewrapRuntime({ cache: paths.cache, run: paths.run });
}

/** The inspection of a copy of the source, with the runtimes of that copy. */
export async function inspectFrom(
  root: string,
  name: Runtime['name'],
  home: InspectedHome,
  depth: InspectionInput['depth'],
): Promise<Inspection> {
  const url = pathToFileURL(join(root, 'src/evidence/inspection/inspection.ts')).href;
  const { inspectSandbox } = (await import(url)) as typeof import('../../src/evidence/inspection/inspection.ts');
  const runtime = await runtimeOf(name, home, root);
  await runtime.check();
  return inspectSandbox(await home.input(runtime, depth));
}

if (import.meta.main) {
  const home = new InspectedHome();
  process.stdout.write(JSON.stringify(await inspectFrom(process.argv[2]!, 'bubblewrap', home, 'quick')));
  home.remove();
}
