-- SPDX-License-Identifier: Apache-2.0

CREATE TABLE gatehouse_replays (
    key     bytea       PRIMARY KEY, -- 32 bytes, a hash
    expires timestamptz NOT NULL
);

CREATE INDEX gatehouse_replays_expires ON gatehouse_replays (expires);

CREATE FUNCTION gatehouse_replays_sweep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM gatehouse_replays WHERE key IN (
        SELECT key FROM gatehouse_replays
        WHERE expires <= clock_timestamp() ORDER BY expires LIMIT 64 FOR UPDATE SKIP LOCKED
    );
    RETURN NULL;
END
$$;

-- One statement in 16 removes up to 64 expired keys: four times as many as are added.
CREATE TRIGGER gatehouse_replays_added AFTER INSERT ON gatehouse_replays FOR EACH STATEMENT
    WHEN (random() < 0.0625) EXECUTE FUNCTION gatehouse_replays_sweep();
