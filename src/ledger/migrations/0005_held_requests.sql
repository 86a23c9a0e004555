-- An approval (kind `egress`) is a request that the gateway holds. `expired`: nothing was sent, and `reason` says why.
ALTER TABLE approvals ADD COLUMN hold TEXT;                  -- the gateway's own id of it, random
ALTER TABLE approvals ADD COLUMN session_id INTEGER REFERENCES sessions (id);
ALTER TABLE approvals ADD COLUMN turn_id INTEGER REFERENCES turns (id);
ALTER TABLE approvals ADD COLUMN reason TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX approvals_hold ON approvals (hold);
