import type { InstallConfig } from '../base/config.ts';
import type { TelemetryInput } from '../evidence/telemetry/telemetry.ts';

/** What is exported while it is there. */
export interface Exporters {
  stop(): Promise<void>;
}

/**
 * Starts what `glass.yaml` asks for; nothing in safe mode, in which nothing leaves. Where it asks for nothing, nothing of it is loaded, and there
 * is no thread.
 */
export async function startExporters(
  config: InstallConfig,
  safe: boolean,
  input: () => Omit<TelemetryInput, 'config'>,
): Promise<Exporters> {
  if (safe || (config.metrics === undefined && config.otlp === undefined)) return { stop: async () => {} };
  const { Telemetry } = await import('../evidence/telemetry/telemetry.ts');
  const telemetry = new Telemetry({ ...input(), config });
  telemetry.start();
  return telemetry;
}
