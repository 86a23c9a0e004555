/** WhatsApp's marks, as its clients show them. */
export interface Shown {
  shown: string;
  bold: string[];
  code: string[];
}

const TOKEN =
  /```\n?([\s\S]*?)\n?```|`([^`\n]+)`|(?<![\w*])\*(?=\S)([^*\n]*\S)\*(?![\w*])|(?<![\w_])_(?=\S)([^_\n]*\S)_(?![\w_])|(?<![\w~])~(?=\S)([^~\n]*\S)~(?![\w~])/g;

export function shownOf(text: string): Shown {
  const found: Shown = { shown: '', bold: [], code: [] };
  found.shown = text.replace(
    TOKEN,
    (whole, block?: string, code?: string, bold?: string, other?: string, struck?: string) => {
      if (block !== undefined || code !== undefined) found.code.push((block ?? code)!);
      if (bold !== undefined) found.bold.push(bold);
      return block ?? code ?? bold ?? other ?? struck ?? whole;
    },
  );
  return found;
}
