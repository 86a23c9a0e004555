-- Groups that are stopped until somebody lets them go on. At most one open row a group.
CREATE TABLE stops (
  id         INTEGER PRIMARY KEY,
  group_name TEXT NOT NULL,             -- '' is every group, also one that is made meanwhile
  by         TEXT NOT NULL,
  stopped_ms INTEGER NOT NULL,
  receipt    TEXT,                      -- JSON of what came of it; NULL: not known (yet)
  resumed_by TEXT,
  resumed_ms INTEGER,
  CHECK ((resumed_by IS NULL) = (resumed_ms IS NULL))
) STRICT;
CREATE UNIQUE INDEX stops_open ON stops (group_name) WHERE resumed_ms IS NULL;

-- Chats whose writers have been told of it.
CREATE TABLE stops_told (
  stop_id INTEGER NOT NULL REFERENCES stops (id),
  chat_id INTEGER NOT NULL REFERENCES chats (id),
  PRIMARY KEY (stop_id, chat_id)
) STRICT, WITHOUT ROWID;

-- 1: held because its group is stopped; of a rejected one: somebody dropped it when the group went on.
ALTER TABLE outbound ADD COLUMN stopped INTEGER NOT NULL DEFAULT 0;
CREATE INDEX outbound_stopped ON outbound (session_id) WHERE stopped = 1;

-- Whoever writes it, and whatever for: no text of a stopped group waits to be sent.
CREATE TRIGGER outbound_stopped_new AFTER INSERT ON outbound
WHEN new.session_id IS NOT NULL AND new.state IN ('queued', 'retry') AND EXISTS (SELECT 1 FROM stops
  WHERE resumed_ms IS NULL AND group_name IN ('', (SELECT group_name FROM sessions WHERE id = new.session_id)))
BEGIN
  UPDATE outbound SET state = 'held', stopped = 1, error = 'its group is stopped' WHERE id = new.id;
END;
CREATE TRIGGER outbound_stopped_again AFTER UPDATE OF state ON outbound
WHEN new.session_id IS NOT NULL AND new.state IN ('queued', 'retry') AND EXISTS (SELECT 1 FROM stops
  WHERE resumed_ms IS NULL AND group_name IN ('', (SELECT group_name FROM sessions WHERE id = new.session_id)))
BEGIN
  UPDATE outbound SET state = 'held', stopped = 1, error = 'its group is stopped' WHERE id = new.id;
END;
