import { type BinaryNode, getBinaryNodeChild, getBinaryNodeChildren, jidDecode } from './baileys.ts';
import type { Phone } from './phone.ts';
import { NUMBER } from './world.ts';

/** What WhatsApp's server says when a device asks (`iq`): as much of it as Baileys asks for when it comes and before it sends. */

/** The device that we are, of all those of our account. */
export const DEVICE = 7;
/** More than Baileys wants there to be: it makes no new ones. */
const PREKEYS = '100';

/** Null: it is not known here. */
export function answerTo({ attrs, content }: BinaryNode, phoneOf: (jid: string) => Phone | null): BinaryNode[] | null {
  const [asked] = Array.isArray(content) ? content : [];
  switch (`${attrs['xmlns']} ${asked?.tag ?? ''}`.trim()) {
    case 'encrypt count':
      return [node('count', { value: PREKEYS })];
    case 'encrypt digest':
      return [node('digest')];
    case 'encrypt key':
      return [
        node(
          'list',
          {},
          getBinaryNodeChildren(asked, 'user').map((user) => bundleOf(user.attrs['jid']!, phoneOf)),
        ),
      ];
    case 'usync usync':
      return [usync(asked!, phoneOf)];
    case 'abt props':
      return [node('props')];
    case 'blocklist':
      return [node('list')];
    case 'privacy privacy':
      return [node('privacy', {}, [node('category', { name: 'readreceipts', value: 'all' })])];
    case 'encrypt registration':
    case 'privacy tokens':
    case 'passive active':
    case 'w:p ping':
      return [];
    default:
      return null;
  }
}

function bundleOf(jid: string, phoneOf: (jid: string) => Phone | null): BinaryNode {
  return phoneOf(jid)?.bundle(jid) ?? node('user', { jid }, [node('error', { code: '404', text: 'item-not-found' })]);
}

/** Of each who was asked for, and whom it knows: the devices, and the other name. */
function usync(asked: BinaryNode, phoneOf: (jid: string) => Phone | null): BinaryNode {
  const wanted = new Set(tagsOf(getBinaryNodeChild(asked, 'query')));
  const users = getBinaryNodeChildren(getBinaryNodeChild(asked, 'list'), 'user').flatMap((user) => {
    const contact = getBinaryNodeChild(user, 'contact')?.content;
    const jid = user.attrs['jid'] ?? `${String(contact ?? '').replace('+', '')}@s.whatsapp.net`;
    const phone = phoneOf(jid);
    if (phone === null) return [];
    return node('user', { jid }, [
      ...(wanted.has('devices') ? [devicesOf(phone)] : []),
      ...(wanted.has('lid') ? [node('lid', { val: phone.who.lid })] : []),
      ...(wanted.has('contact') ? [node('contact', { type: 'in' })] : []),
    ]);
  });
  return node('usync', { sid: asked.attrs['sid']! }, [node('result'), node('list', {}, users)]);
}

function devicesOf({ who }: Phone): BinaryNode {
  const ours = jidDecode(who.jid)?.user === NUMBER ? [node('device', { id: `${DEVICE}`, 'key-index': '1' })] : [];
  return node('devices', {}, [node('device-list', {}, [node('device', { id: '0' }), ...ours])]);
}

function tagsOf(given: BinaryNode | undefined): string[] {
  return Array.isArray(given?.content) ? given.content.map(({ tag }) => tag) : [];
}

export function node(tag: string, attrs: BinaryNode['attrs'] = {}, content?: BinaryNode[]): BinaryNode {
  return content === undefined ? { tag, attrs } : { tag, attrs, content };
}
