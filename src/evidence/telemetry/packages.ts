import { join } from 'node:path';
import type { PackageSet } from '../../base/packages.ts';

/** What the exporters are made of; nobody has them who exports nothing. */
export function telemetryPackages(root: string): PackageSet {
  const folder = join(root, 'src/evidence/telemetry');
  return { title: 'the exporters', folder, size_mb: 22, command: './glass doctor --fix' };
}
