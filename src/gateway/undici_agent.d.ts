/** The one part of undici that the gateway loads: the whole package is 14 MB more of resident memory. */
declare module 'undici/lib/dispatcher/agent.js' {
  import type { Agent } from 'undici';

  const agent: typeof Agent;
  export default agent;
}
