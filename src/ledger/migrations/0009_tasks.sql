-- Scheduled work. A run of it is a message, so that both laws hold for it as for any other.
CREATE TABLE tasks (
  id         INTEGER PRIMARY KEY,
  group_name TEXT NOT NULL REFERENCES groups (name),
  chat_id    INTEGER NOT NULL REFERENCES chats (id),  -- where its results go
  thread     TEXT NOT NULL DEFAULT '',
  own        INTEGER NOT NULL,                        -- 1: a session of its own; 0: its chat's conversation
  schedule   TEXT NOT NULL,
  zone       TEXT NOT NULL,
  text       TEXT NOT NULL,
  gate       TEXT NOT NULL DEFAULT '',
  catch_up   TEXT NOT NULL CHECK (catch_up IN ('skip', 'once', 'all')),
  person_id  INTEGER NOT NULL REFERENCES people (id), -- whose role in the group it needs
  by         TEXT NOT NULL,
  state      TEXT NOT NULL CHECK (state IN ('active', 'paused', 'done', 'removed')),
  reason     TEXT NOT NULL DEFAULT '',
  anchor_ms  INTEGER NOT NULL,
  next_ms    INTEGER,
  failures   INTEGER NOT NULL DEFAULT 0,
  created_ms INTEGER NOT NULL,
  CHECK ((state = 'active') = (next_ms IS NOT NULL))
) STRICT;
CREATE INDEX tasks_due ON tasks (next_ms) WHERE state = 'active';

CREATE TABLE task_runs (
  id         INTEGER PRIMARY KEY,
  task_id    INTEGER NOT NULL REFERENCES tasks (id),
  due_ms     INTEGER NOT NULL,
  message_id INTEGER REFERENCES messages (id),        -- NULL: skipped
  state      TEXT NOT NULL CHECK (state IN ('running', 'answered', 'silent', 'failed', 'cancelled', 'skipped')),
  reason     TEXT NOT NULL DEFAULT '',
  started_ms INTEGER NOT NULL,
  ended_ms   INTEGER
) STRICT;
CREATE INDEX task_runs_of ON task_runs (task_id, id);
CREATE UNIQUE INDEX task_runs_open ON task_runs (task_id) WHERE state = 'running'; -- never two at once

-- The task that a message is a run of; and the one that a session belongs to alone.
ALTER TABLE messages ADD COLUMN task_id INTEGER REFERENCES tasks (id);
ALTER TABLE sessions ADD COLUMN task_id INTEGER REFERENCES tasks (id);
DROP INDEX sessions_open;
CREATE UNIQUE INDEX sessions_open ON sessions (group_name, chat_id, thread) WHERE closed_ms IS NULL AND shared = 0 AND task_id IS NULL;
CREATE UNIQUE INDEX sessions_task ON sessions (task_id) WHERE closed_ms IS NULL AND task_id IS NOT NULL;
