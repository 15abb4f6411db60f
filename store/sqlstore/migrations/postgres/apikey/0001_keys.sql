-- SPDX-License-Identifier: Apache-2.0

CREATE TABLE gatehouse_apikeys (
    id              text        COLLATE "C" NOT NULL PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 255),
    owner           text        COLLATE "C" NOT NULL,
    tenant          text        COLLATE "C" NOT NULL,
    environment     text        COLLATE "C" NOT NULL,
    scopes          text        COLLATE "C" NOT NULL, -- RFC 6749 §3.3, sorted
    networks        text        COLLATE "C" NOT NULL, -- prefixes with a space between
    metadata        text        COLLATE "C" NOT NULL, -- JSON, kept byte by byte
    lifetime        bigint      NOT NULL,             -- microseconds
    created         timestamptz NOT NULL,
    rotated         timestamptz NOT NULL,
    expires         timestamptz NOT NULL,
    grace_ends      timestamptz,
    revoked         timestamptz,
    suspended       timestamptz,
    generation      bigint      NOT NULL,
    last_used       timestamptz,
    uses            bigint      NOT NULL,
    current_sum     bytea       NOT NULL CHECK (octet_length(current_sum) = 32),
    current_pepper  bigint      NOT NULL,             -- version, 0 for none
    previous_sum    bytea       CHECK (octet_length(previous_sum) = 32),
    previous_pepper bigint
) WITH (fillfactor = 90); -- last_used is in no index, so its updates stay on their page

CREATE INDEX gatehouse_apikeys_created ON gatehouse_apikeys (created, id);
CREATE INDEX gatehouse_apikeys_tenant ON gatehouse_apikeys (tenant, created, id);
CREATE INDEX gatehouse_apikeys_owner ON gatehouse_apikeys (owner, tenant, created, id);
CREATE INDEX gatehouse_apikeys_due ON gatehouse_apikeys (expires, id) WHERE revoked IS NULL;
CREATE INDEX gatehouse_apikeys_tenant_due ON gatehouse_apikeys (tenant, expires, id) WHERE revoked IS NULL;

-- The database notifies other nodes in the transaction of the change, also of
-- manual changes.
CREATE FUNCTION gatehouse_apikeys_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('gatehouse_apikeys', OLD.id);
    RETURN NULL;
END
$$;

CREATE TRIGGER gatehouse_apikeys_updated AFTER UPDATE ON gatehouse_apikeys FOR EACH ROW
    WHEN ((OLD.current_sum, OLD.previous_sum, OLD.expires, OLD.grace_ends, OLD.revoked, OLD.suspended, OLD.scopes, OLD.networks)
        IS DISTINCT FROM
        (NEW.current_sum, NEW.previous_sum, NEW.expires, NEW.grace_ends, NEW.revoked, NEW.suspended, NEW.scopes, NEW.networks))
    EXECUTE FUNCTION gatehouse_apikeys_changed();

CREATE TRIGGER gatehouse_apikeys_deleted AFTER DELETE ON gatehouse_apikeys FOR EACH ROW
    EXECUTE FUNCTION gatehouse_apikeys_changed();
