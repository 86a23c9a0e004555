import { readFileSync } from 'node:fs';
import { INSTRUCTIONS_BYTES_MAX } from '../base/limits/messages.ts';
import type { Paths } from '../base/paths.ts';
import { cutBytes } from '../base/text.ts';
import type { SessionRow } from '../ledger/sessions.ts';
import { HATCH_VERSION, type HostFrame } from '../protocol/frames.ts';
import type { StartPlan } from './services.ts';

/** The host's first frame: who the sandbox is, and where its harness goes on. `drafts`: what there is of an answer is wanted. */
export function welcomeFrame(session: SessionRow, plan: StartPlan, paths: Paths, drafts: boolean): HostFrame {
  const { provider, name, effort = null } = plan.authority.model;
  return {
    t: 'welcome',
    v: HATCH_VERSION,
    session: plan.egress.session,
    group: plan.authority.group,
    harness: plan.harness,
    model: { provider, name, effort },
    tools: plan.authority.tools,
    mcp: Object.entries(plan.authority.mcp ?? {}).map(([name, { command, env }]) => {
      return { name, command, env: Object.entries(env).map(([name, value]) => ({ name, value })) };
    }),
    // A resume point means something only to the harness that wrote it.
    resume: session.harness === plan.harness ? session.resume : null,
    instructions: readInstructions(paths.group(plan.authority.group).instructions),
    drafts,
  };
}

function readInstructions(file: string): string {
  try {
    return cutBytes(readFileSync(file, 'utf8'), INSTRUCTIONS_BYTES_MAX);
  } catch {
    return ''; // a group need not have any
  }
}
