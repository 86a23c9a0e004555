/** What is an answer to what an agent asks, and whose word counts: pure. */

export interface Chosen {
  text: string;
  /** Number of the option; null: free words. */
  chosen: number | null;
}

/** What a text says to a question: with options the one that it names by number or by its words, in any case. Null: nothing. */
export function choiceOf(options: string[], text: string): Chosen | null {
  const said = text.trim();
  if (options.length === 0) return said === '' ? null : { text: said, chosen: null };
  const words = said.toLowerCase();
  // An option that is a number itself goes before the number of another one.
  const named = options.findIndex((option) => option.trim().toLowerCase() === words);
  const at = named === -1 && /^\d{1,2}$/.test(said) ? Number(said) - 1 : named;
  return options[at] === undefined ? null : { text: options[at], chosen: at + 1 };
}

export interface AnswererFacts {
  by: 'person' | 'bot' | 'self';
  /** Whether the group answers in the chat and listens to them there. */
  heard: boolean;
  /** Whether they have a role in the group. */
  hasRole: boolean;
  /** Whether a message of the turn that asks is theirs. */
  wroteTurn: boolean;
}

/** People of the group; in a public chat also whoever asked the agent. */
export function mayAnswer({ by, heard, hasRole, wroteTurn }: AnswererFacts): boolean {
  return by === 'person' && heard && (hasRole || wroteTurn);
}
