/** One timer that is started anew or stopped, and never keeps the process alive. */
export class Timer {
  #running: NodeJS.Timeout | null = null;

  start(ms: number, then: () => void): void {
    this.stop();
    this.#running = setTimeout(then, ms).unref();
  }

  stop(): void {
    if (this.#running !== null) clearTimeout(this.#running);
    this.#running = null;
  }
}
