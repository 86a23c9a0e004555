-- Messages between agents: each comes from a text that another group's agent has sent.
ALTER TABLE messages ADD COLUMN outbound_id INTEGER REFERENCES outbound (id); -- that text; NULL: no agent's
ALTER TABLE messages ADD COLUMN hops INTEGER NOT NULL DEFAULT 0;              -- agents that it has come through
CREATE UNIQUE INDEX messages_outbound ON messages (outbound_id) WHERE outbound_id IS NOT NULL;

-- A text that waits for a person's decision is held, and nothing else lets it go.
ALTER TABLE outbound ADD COLUMN approval_id INTEGER REFERENCES approvals (id);
CREATE INDEX outbound_approval ON outbound (approval_id) WHERE approval_id IS NOT NULL;
CREATE INDEX messages_of_agents ON messages (chat_id, thread, id) WHERE origin = 'agent';

-- What waits, or is being done, and what a code means: both grow with every request.
CREATE INDEX approvals_open ON approvals (id) WHERE state IN ('pending', 'approved');
CREATE INDEX approvals_by_code ON approvals (code, id) WHERE code IS NOT NULL;
