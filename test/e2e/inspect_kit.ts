import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Paths, pathsOf, prepareHome } from '../../src/base/paths.ts';
import type { Inspection, InspectionInput } from '../../src/evidence/inspection.ts';
import type { SandboxSpec } from '../../src/runtimes/runtime.ts';
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
    const node = process.execPath;
    this.spec = sessionSpec({ paths, authority, session: SESSION, harness: 'probe', uid: GROUP_UID, node, codeCache });
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
      absent: (await runtime.limits()).filter(({ state }) => state === 'absent').map(({ name }) => name),
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
