-- SPDX-License-Identifier: Apache-2.0

CREATE TABLE gatehouse_audit (
    seq    bigint NOT NULL PRIMARY KEY,  -- from 0, without gaps
    record text   COLLATE "C" NOT NULL   -- JSON with the same number and a seal, kept byte by byte
);

-- A record has the next number. The lock is that of this table, not of its namesake in
-- another schema, and is held until the commit. Statements of the function see what was
-- committed while it waited.
CREATE FUNCTION gatehouse_audit_number() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE next bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1635083369, TG_RELID::integer); -- "audi"
    EXECUTE format('SELECT coalesce(max(seq) + 1, 0) FROM %s', TG_RELID::regclass) INTO next;
    IF NEW.seq IS DISTINCT FROM next THEN
        RAISE EXCEPTION 'gatehouse_audit is append-only';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION gatehouse_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'gatehouse_audit is append-only';
END
$$;

CREATE TRIGGER gatehouse_audit_inserted BEFORE INSERT ON gatehouse_audit FOR EACH ROW
    EXECUTE FUNCTION gatehouse_audit_number();
CREATE TRIGGER gatehouse_audit_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON gatehouse_audit FOR EACH STATEMENT
    EXECUTE FUNCTION gatehouse_audit_refuse();

-- Also for a session that applies replicated changes (session_replication_role).
ALTER TABLE gatehouse_audit ENABLE ALWAYS TRIGGER gatehouse_audit_inserted;
ALTER TABLE gatehouse_audit ENABLE ALWAYS TRIGGER gatehouse_audit_changed;
