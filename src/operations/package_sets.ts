import type { InstallConfig } from '../base/config.ts';
import type { PackageSet } from '../base/packages.ts';
import { driverPackages, KINDS } from '../channels/kinds.ts';
import { telemetryPackages } from '../evidence/telemetry/packages.ts';

/** What channels and exporters that `glass.yaml` names are made of: without it one of them stays silent. */
export function packagesNamed(root: string, { channels, metrics, otlp }: InstallConfig): PackageSet[] {
  const used = new Set(Object.values(channels).map(({ kind }) => kind));
  const drivers = KINDS.filter(({ kind }) => used.has(kind)).map((kind) => driverPackages(root, kind));
  const exporters = metrics === undefined && otlp === undefined ? [] : [telemetryPackages(root)];
  return [...drivers, ...exporters].filter((set) => set !== null);
}
