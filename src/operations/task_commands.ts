import { OperatingError } from '../base/errors.ts';
import { parseId, showId } from '../base/ids.ts';
import { visible } from '../base/text.ts';
import { chatById, nameOfChat } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { administers } from '../ledger/people.ts';
import { taskById } from '../ledger/tasks.ts';
import type { CommandAnswer, CommandPlace } from '../router/commands.ts';
import type { TaskShown, TaskWord } from '../scheduler/tasks.ts';

/** `/tasks`: what is done in a chat at its time, and a word about one of them. What is set elsewhere was not said to everybody here. */
export interface TaskCommandParts {
  /** What these groups have scheduled, what runs next first. */
  tasks(groups: string[]): TaskShown[];
  /** Returns what is to follow the commit. Throws `OperatingError`: then nothing has been written. */
  changeTask(db: Db, task: string, what: TaskWord, who: string): () => void;
}

const DONE: Record<TaskWord, string> = {
  pause: 'is paused',
  resume: 'goes on at its next time',
  run: 'runs now',
  remove: 'is removed',
};

export function taskCommand(db: Db, parts: TaskCommandParts, place: CommandPlace, words: string[]): CommandAnswer {
  if (words.length === 0) return { text: tasksText(tasksHere(db, parts, place)) };
  const [what = '', shown = '', ...more] = words;
  if (!isWord(what) || parseId('k', shown) === undefined || more.length > 0)
    return { text: 'Write /tasks, or /tasks pause, resume, run or remove with a task: /tasks pause k3.' };
  if (!tasksHere(db, parts, place).some(({ task }) => task === shown))
    return { text: `There is no task ${shown} in this chat; /tasks lists them.` };
  const { id, group_name, person_id } = taskById(db, parseId('k', shown)!)!;
  if (person_id !== place.person && !administers(db, place.person, group_name))
    return { text: `Only an admin of ${group_name}, or who it runs for, changes ${showId('k', id)}.` };
  try {
    const after = parts.changeTask(db, shown, what, visible(place.sender));
    return { text: `${shown} ${DONE[what]}.`, after };
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
    return { text: `Nothing was done: ${error.message}.` };
  }
}

function isWord(word: string): word is TaskWord {
  return Object.hasOwn(DONE, word);
}

function tasksHere(db: Db, { tasks }: TaskCommandParts, { chat, groups }: CommandPlace): TaskShown[] {
  const here = nameOfChat(chatById(db, chat)!);
  return tasks(groups).filter(({ to }) => to === here);
}

function tasksText(tasks: TaskShown[]): string {
  if (tasks.length === 0) return 'There are no tasks.';
  const lines = tasks.slice(0, TASKS_SHOWN).map(({ task, when, zone, state, next, text }) => {
    const time = state === 'active' ? `next ${next}` : state;
    return `${task}: ${when} (${zone}), ${time}: ${visible(text).slice(0, 80)}`;
  });
  if (tasks.length > TASKS_SHOWN) lines.push(`and ${tasks.length - TASKS_SHOWN} more: ./glass task list`);
  return lines.join('\n');
}

const TASKS_SHOWN = 15;
