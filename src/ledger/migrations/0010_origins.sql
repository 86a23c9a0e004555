-- Who a message comes from: a platform, or the host itself, whose messages no platform knows.
ALTER TABLE messages ADD COLUMN origin TEXT NOT NULL DEFAULT 'platform' CHECK (origin IN ('platform', 'task', 'approval', 'agent'));
UPDATE messages SET origin = 'task' WHERE task_id IS NOT NULL;

-- How often somebody without a role, or an agent of a group, has tried something, in a window of time.
DROP TABLE tries;
CREATE TABLE tries (
  kind     TEXT NOT NULL CHECK (kind IN ('pair', 'public', 'wish', 'agent')),
  channel  TEXT NOT NULL,
  handle   TEXT NOT NULL,
  count    INTEGER NOT NULL,
  since_ms INTEGER NOT NULL,
  PRIMARY KEY (kind, channel, handle)
) STRICT, WITHOUT ROWID;
