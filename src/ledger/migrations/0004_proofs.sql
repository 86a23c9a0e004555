-- Self-checks of a group's boundary: the newest one decides whether it starts.
CREATE TABLE proofs (
  id          INTEGER PRIMARY KEY,
  group_name  TEXT NOT NULL REFERENCES groups (name),
  fingerprint TEXT NOT NULL,            -- of everything that the boundary depends on
  depth       TEXT NOT NULL CHECK (depth IN ('quick', 'full')),
  ok          INTEGER NOT NULL,
  at_ms       INTEGER NOT NULL,
  ms          INTEGER NOT NULL,
  inspection  TEXT NOT NULL             -- JSON, as it was found
) STRICT;
CREATE INDEX proofs_group ON proofs (group_name, id);

-- When each guard of a group was last seen to act.
CREATE TABLE guards_seen (
  group_name TEXT NOT NULL REFERENCES groups (name),
  probe      TEXT NOT NULL,
  at_ms      INTEGER NOT NULL,
  PRIMARY KEY (group_name, probe)
) STRICT, WITHOUT ROWID;
