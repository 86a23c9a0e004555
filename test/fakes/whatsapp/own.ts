import assert from 'node:assert/strict';
import type { Scene } from '../../kits/channel_scene.ts';
import { type Change, statuses } from './people.ts';
import { cloud, WhatsappAccount } from './subject.ts';

/** What tests of WhatsApp's own have besides the kit. */

export function of(scene: Scene): WhatsappAccount {
  assert.ok(scene.account instanceof WhatsappAccount);
  return scene.account;
}

/** The driver as another block of `glass.yaml` has it. */
export async function withTemplate(scene: Scene, cursors: ReadonlyMap<string, string> = new Map()): Promise<void> {
  const account = of(scene);
  await scene.channel.stop();
  const template = { name: 'from_glass', language: 'en_US' };
  const settings = cloud.kind.settings.parse({ ...account.parts.settings, template });
  const log = (...line: unknown[]): void => void scene.logs.push(JSON.stringify(line));
  scene.channel = account.open({ ...account.parts, settings, folder: '', log, changed: () => {} });
  await scene.channel.start(scene.sink, cursors);
  await scene.until('it is connected', () => scene.channel.health().state === 'connected');
}

/** Of a message of ours that WhatsApp had taken. */
export function failed(id: string, code: number, title: string): Change {
  return statuses([{ id, status: 'failed', timestamp: '1', recipient_id: '16505551234', errors: [{ code, title }] }]);
}
