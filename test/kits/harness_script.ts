import { echoScript, type Script } from '../fakes/model.ts';

/** What the scripted model says in the kit: it also shows what it still knows, and what joined beside a tool's result. */
const REMEMBERED = ['alpha', 'beta', 'gamma'];

export const kitScript: Script = (request) => {
  if (/(^|\n)recall\s*(<\/message>\s*)?$/.test(request.lastText)) {
    const said = JSON.stringify(request.json.messages);
    return { text: `I know [${REMEMBERED.filter((word) => said.includes(word)).join(' ')}]` };
  }
  if (request.toolResults.length > 0 && request.lastText !== '')
    return { text: `tool said: ${request.toolResults.join(' | ')}; you said: ${request.lastText}` };
  return echoScript(request);
};
