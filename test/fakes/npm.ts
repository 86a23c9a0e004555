import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** An npm that is a script, for whoever asks the one that the launcher names. */
export interface FakeNpm {
  file: string;
  /** The words of each call, a line each. */
  asked(): string;
}

/** Brings a package, and two that hold the same for two C libraries. */
export const ARRIVES =
  'mkdir -p node_modules/@fake/bin-gnu node_modules/@fake/bin-musl && cp package-lock.json node_modules/lock-of-npm';

/** As npm says it. */
export const FAILS = `mkdir node_modules
printf 'npm error code E404\\nnpm error 404 there is no such package\\nnpm error A complete log is somewhere\\n' >&2
exit 1`;

/** Stands in `GLASS_NPM` until the end of the test. */
export function fakeNpm(context: TestContext, folder: string, script: string): FakeNpm {
  const file = join(folder, 'npm');
  writeFileSync(file, `#!/bin/sh\necho "$*" >>"$0.asked"\n${script}\n`, { mode: 0o755 });
  const before = process.env['GLASS_NPM'];
  process.env['GLASS_NPM'] = file;
  context.after(() => {
    if (before === undefined) delete process.env['GLASS_NPM'];
    else process.env['GLASS_NPM'] = before;
  });
  return { file, asked: () => (existsSync(`${file}.asked`) ? readFileSync(`${file}.asked`, 'utf8') : '') };
}
