-- Alerts that reach people: what of them is still to be told, whom it was told by which way, and what became of that.
ALTER TABLE alerts ADD COLUMN acked_ms INTEGER;                -- somebody has seen it, and it still stands
ALTER TABLE alerts ADD COLUMN untold INTEGER NOT NULL DEFAULT 0; -- 1: that it began; 2: that it is over
CREATE INDEX alerts_untold ON alerts (id) WHERE untold > 0;
CREATE INDEX alerts_raised ON alerts (kind, subject, created_ms);

CREATE TABLE alert_tells (
  id            INTEGER PRIMARY KEY,
  alert_id      INTEGER NOT NULL REFERENCES alerts (id),
  what          TEXT NOT NULL CHECK (what IN ('raised', 'cleared', 'flapping', 'many', 'test')),
  way           TEXT NOT NULL CHECK (way IN ('chat', 'command', 'webhook')),
  person_id     INTEGER REFERENCES people (id),    -- of a chat; null: the operator's own
  channel       TEXT NOT NULL DEFAULT '',
  outbound_id   INTEGER REFERENCES outbound (id),
  state         TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sent', 'failed')),
  attempts      INTEGER NOT NULL DEFAULT 0,
  not_before_ms INTEGER NOT NULL DEFAULT 0,
  error         TEXT,
  created_ms    INTEGER NOT NULL,
  updated_ms    INTEGER NOT NULL
) STRICT;
CREATE INDEX alert_tells_open ON alert_tells (way, id) WHERE state = 'queued';
CREATE INDEX alert_tells_of ON alert_tells (alert_id, id);
CREATE INDEX alert_tells_at ON alert_tells (created_ms);
CREATE INDEX alert_tells_by ON alert_tells (outbound_id) WHERE outbound_id IS NOT NULL;
CREATE INDEX alert_tells_last ON alert_tells (way, state, id);

-- Lives of the host; `ended_ms` null: it runs, or did not end in order.
CREATE TABLE lives (
  id         INTEGER PRIMARY KEY,
  started_ms INTEGER NOT NULL,
  ended_ms   INTEGER
) STRICT;

-- What last proved that a channel's path works, without a word to anybody.
CREATE TABLE channel_proofs (
  channel TEXT PRIMARY KEY,
  at_ms   INTEGER NOT NULL,
  ok      INTEGER,                                 -- null: known since then, and not proven yet
  how     TEXT NOT NULL,
  detail  TEXT NOT NULL,
  ms      INTEGER NOT NULL
) STRICT;
