import { Install, Terminal } from './install.ts';

const TASKS = 8;

/** How late the latest of some tasks is said, in milliseconds: from its time to its row. */
export async function latestTask(): Promise<number> {
  const install = new Install();
  install.group('assistant', 'harness: probe\n');
  try {
    await install.start();
    const terminal = new Terminal(install.control, 'tasks');
    await terminal.open();
    await terminal.ask('hello');
    const began = Math.ceil(Date.now() / 1000) * 1000 + 2000;
    for (let i = 0; i < TASKS; i += 1) {
      const when = `at ${new Date(began + i * 1000).toISOString().slice(0, 19)}Z`;
      await install.control.call('task_add', { group: 'assistant', to: 'local:tasks', when, text: 'now' });
    }
    await new Promise((resolve) => setTimeout(resolve, began + (TASKS + 1) * 1000 - Date.now()));
    terminal.close();
    return Math.max(...(await lateness(install)));
  } finally {
    await install.stop();
  }
}

async function lateness(install: Install): Promise<number[]> {
  const late: number[] = [];
  await install.control.stream('events', { after: 0, limit: 1000 }, (row) => {
    if (row['kind'] === 'task.due') late.push((row['data'] as { late_ms: number }).late_ms);
  });
  if (late.length !== TASKS) throw new Error(`${late.length} of ${TASKS} tasks have run`);
  return late;
}

if (import.meta.main) console.log(await latestTask());
