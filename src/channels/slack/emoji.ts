/** Slack knows emoji by names. Those that people and agents react with; others go and come as `:name:`. */

const NAMES: Record<string, string> = {
  '👍': '+1',
  '👎': '-1',
  '👌': 'ok_hand',
  '👏': 'clap',
  '🙌': 'raised_hands',
  '🙏': 'pray',
  '💪': 'muscle',
  '👋': 'wave',
  '🤝': 'handshake',
  '✌': 'v',
  '👀': 'eyes',
  '❤': 'heart',
  '💔': 'broken_heart',
  '💯': '100',
  '🔥': 'fire',
  '🎉': 'tada',
  '✨': 'sparkles',
  '⭐': 'star',
  '🚀': 'rocket',
  '💡': 'bulb',
  '✅': 'white_check_mark',
  '☑': 'ballot_box_with_check',
  '✔': 'heavy_check_mark',
  '❌': 'x',
  '⛔': 'no_entry',
  '🚫': 'no_entry_sign',
  '⚠': 'warning',
  '❓': 'question',
  '❗': 'exclamation',
  '➕': 'heavy_plus_sign',
  '⏳': 'hourglass_flowing_sand',
  '⌛': 'hourglass',
  '⏰': 'alarm_clock',
  '🔄': 'arrows_counterclockwise',
  '🛑': 'octagonal_sign',
  '📌': 'pushpin',
  '📎': 'paperclip',
  '📝': 'memo',
  '🔍': 'mag',
  '🔒': 'lock',
  '🐛': 'bug',
  '🤖': 'robot_face',
  '😀': 'grinning',
  '😄': 'smile',
  '😂': 'joy',
  '🤣': 'rolling_on_the_floor_laughing',
  '🙂': 'slightly_smiling_face',
  '😉': 'wink',
  '😊': 'blush',
  '😍': 'heart_eyes',
  '😎': 'sunglasses',
  '🤔': 'thinking_face',
  '😐': 'neutral_face',
  '😕': 'confused',
  '😢': 'cry',
  '😭': 'sob',
  '😡': 'rage',
  '😱': 'scream',
  '😮': 'open_mouth',
  '😅': 'sweat_smile',
  '🤯': 'exploding_head',
  '🤷': 'shrug',
  '🫡': 'saluting_face',
  '💀': 'skull',
  '💩': 'hankey',
  '🥳': 'partying_face',
  '☕': 'coffee',
  '🍕': 'pizza',
};

/** Names that Slack takes for the same as one above. */
const ALIASES: Record<string, string> = { thumbsup: '+1', thumbsdown: '-1', poop: 'hankey', thinking: 'thinking_face' };

const SIGNS = new Map(Object.entries(NAMES).map(([sign, name]) => [name, sign]));

/** Null: no name is known for it. Variation selectors and tones of skin make no other emoji. */
export function nameOfEmoji(given: string): string | null {
  const bare = given.trim().replace(/[\u{fe0e}\u{fe0f}\u{1f3fb}-\u{1f3ff}]/gu, '');
  const known = NAMES[bare];
  if (known !== undefined) return known;
  return /^:?([a-z0-9_+'-]{1,100}):?$/.exec(bare)?.[1] ?? null;
}

export function emojiOf(name: string): string {
  const bare = name.replace(/::skin-tone-\d$/, '');
  return SIGNS.get(ALIASES[bare] ?? bare) ?? `:${bare}:`;
}
