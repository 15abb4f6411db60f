-- SPDX-License-Identifier: Apache-2.0

CREATE TABLE gatehouse_revocations (
    issuer  text        COLLATE "C" NOT NULL,
    kind    text        COLLATE "C" NOT NULL, -- jti, sub, client_id or sid
    value   text        COLLATE "C" NOT NULL,
    revoked timestamptz NOT NULL,
    expires timestamptz NOT NULL,
    PRIMARY KEY (issuer, kind, value)
);

CREATE INDEX gatehouse_revocations_expires ON gatehouse_revocations (expires);

CREATE FUNCTION gatehouse_revocations_sweep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM gatehouse_revocations WHERE (issuer, kind, value) IN (
        SELECT issuer, kind, value FROM gatehouse_revocations
        WHERE expires <= clock_timestamp() ORDER BY expires LIMIT 10 FOR UPDATE SKIP LOCKED
    );
    RETURN NULL;
END
$$;

CREATE TRIGGER gatehouse_revocations_added AFTER INSERT ON gatehouse_revocations FOR EACH STATEMENT
    EXECUTE FUNCTION gatehouse_revocations_sweep();
