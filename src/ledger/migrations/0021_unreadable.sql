-- What a platform said and no driver could read, as it came; the newest of each channel.
CREATE TABLE unreadable (
  id         INTEGER PRIMARY KEY,
  channel    TEXT NOT NULL,
  dedupe_key TEXT NOT NULL,
  kind       TEXT NOT NULL,
  raw        TEXT NOT NULL,
  at_ms      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX unreadable_key ON unreadable (channel, dedupe_key);
CREATE INDEX unreadable_newest ON unreadable (channel, id);
