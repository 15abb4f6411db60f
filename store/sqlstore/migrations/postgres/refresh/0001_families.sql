-- SPDX-License-Identifier: Apache-2.0

CREATE TABLE gatehouse_families (
    id           text        COLLATE "C" NOT NULL PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 255),
    subject      text        COLLATE "C" NOT NULL,
    client       text        COLLATE "C" NOT NULL,
    tenant       text        COLLATE "C" NOT NULL,
    scopes       text        COLLATE "C" NOT NULL, -- RFC 6749 §3.3, sorted
    metadata     text        COLLATE "C" NOT NULL, -- JSON, kept byte by byte
    auth_time    timestamptz,
    created      timestamptz NOT NULL,
    expires      timestamptz NOT NULL,
    rotated      timestamptz,
    grace_ends   timestamptz,
    revoked      timestamptz,
    generation   bigint      NOT NULL,
    outcome      text        NOT NULL,             -- of the last rotation that was tried, "" before
    key_sum      bytea       NOT NULL CHECK (octet_length(key_sum) = 32),
    current_sum  bytea       NOT NULL CHECK (octet_length(current_sum) = 32),
    previous_sum bytea       CHECK (octet_length(previous_sum) = 32),
    successor    bytea                             -- sealed
) WITH (fillfactor = 80); -- rotation changes no indexed column, so that its update can be heap-only

CREATE INDEX gatehouse_families_subject ON gatehouse_families (subject, client) WHERE revoked IS NULL;
CREATE INDEX gatehouse_families_client ON gatehouse_families (client) WHERE revoked IS NULL;
CREATE INDEX gatehouse_families_expires ON gatehouse_families (expires);

-- Each insert removes up to ten expired rows, so that the table does not grow.
-- Rows that another transaction has locked are skipped.
CREATE FUNCTION gatehouse_families_sweep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM gatehouse_families WHERE id IN (
        SELECT id FROM gatehouse_families WHERE expires <= clock_timestamp() ORDER BY expires LIMIT 10 FOR UPDATE SKIP LOCKED
    );
    RETURN NULL;
END
$$;

CREATE TRIGGER gatehouse_families_added AFTER INSERT ON gatehouse_families FOR EACH STATEMENT
    EXECUTE FUNCTION gatehouse_families_sweep();
