/** A moment of this process, in milliseconds. */
export interface Moment {
  at_ms: number;
  /** Of its life, until then: how long its event loop has been at work, not waiting. */
  atWork_ms: number;
}

export function moment(): Moment {
  return { at_ms: performance.now(), atWork_ms: performance.eventLoopUtilization().active };
}
