import type { ChannelCapabilities } from '../../src/channels/channel.ts';
import type { Scene } from './channel_scene.ts';

/** What a driver may be without: then the row is skipped. */
export type Need = Flag | 'missed' | 'writes_first' | 'direct' | 'files' | 'webhook';

type Flag = 'buttons' | 'cards' | 'quotes' | 'edits' | 'reactions' | 'typing' | 'threads' | 'files_in' | 'receipts';

/** One thing that holds for each driver. */
export interface Row {
  name: string;
  needs?: Need;
  run(scene: Scene): Promise<void>;
}

/** Why a row that needs it is skipped, or null. */
export function without(need: Need | undefined, capabilities: ChannelCapabilities, hooked: boolean): string | null {
  switch (need) {
    case undefined:
      return null;
    case 'files':
      return capabilities.file_bytes_max > 0 ? null : 'it takes no files';
    case 'webhook':
      return hooked ? null : 'the platform does not call us';
    case 'direct':
      return capabilities.no_direct === undefined ? null : 'there are no direct chats';
    case 'missed':
    case 'writes_first':
      return capabilities[need] === undefined ? `its capabilities have no ${need}` : null;
    case 'buttons':
    case 'cards':
    case 'quotes':
    case 'edits':
    case 'reactions':
    case 'typing':
    case 'threads':
    case 'files_in':
    case 'receipts':
      return capabilities[need] === true ? null : `its capabilities have no ${need}`;
    default:
      return need satisfies never;
  }
}
