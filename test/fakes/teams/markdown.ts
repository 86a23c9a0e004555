/** What a person reads of the Markdown that Teams takes, and what of it is bold and code. */
export function shownOf(markdown: string): { shown: string; bold: string[]; code: string[] } {
  const bold: string[] = [];
  const code: string[] = [];
  const plain = (text: string): string =>
    text
      .replace(/&(amp|lt|gt);/g, (_, name: string) => ({ amp: '&', lt: '<', gt: '>' })[name]!)
      .replace(/[\ue000-\ue0ff]/g, (held) => String.fromCharCode(held.charCodeAt(0) - HELD));
  const parts = markdown.split(/(^```[^\n]*\n[\s\S]*?\n```$|(?<![\\`])`[^`\n]+`)/m);
  const shown = parts.map((part, at) => {
    if (at % 2 === 1) {
      const inner = /^```[^\n]*\n([\s\S]*?)\n```$|^`([^`\n]+)`$/.exec(part)!;
      code.push(inner[1] ?? inner[2]!);
      return code.at(-1)!;
    }
    const held = part.replace(/\\([!-/:-@[-`{-~])/g, (_, sign: string) =>
      String.fromCharCode(sign.charCodeAt(0) + HELD),
    );
    const words = held.replace(/\*\*(\S|\S[^\n]*?\S)\*\*/g, (_, strong: string) => {
      bold.push(plain(strong));
      return strong;
    });
    return plain(words.replace(/(?<!\w)_(\S|\S[^_\n]*\S)_(?!\w)/g, '$1'));
  });
  return { shown: shown.join(''), bold, code };
}

/** Signs that are escaped stand so far from where they are while the marks are read. */
const HELD = 0xe000;
