-- SPDX-License-Identifier: Apache-2.0

-- Times are microseconds since 1970.
CREATE TABLE gatehouse_apikeys (
    id              TEXT    NOT NULL PRIMARY KEY CHECK (length(CAST(id AS BLOB)) BETWEEN 1 AND 255),
    owner           TEXT    NOT NULL,
    tenant          TEXT    NOT NULL,
    environment     TEXT    NOT NULL,
    scopes          TEXT    NOT NULL, -- RFC 6749 §3.3, sorted
    networks        TEXT    NOT NULL, -- prefixes with a space between
    metadata        TEXT    NOT NULL, -- JSON, kept byte by byte
    lifetime        INTEGER NOT NULL, -- microseconds
    created         INTEGER NOT NULL,
    rotated         INTEGER NOT NULL,
    expires         INTEGER NOT NULL,
    grace_ends      INTEGER,
    revoked         INTEGER,
    suspended       INTEGER,
    generation      INTEGER NOT NULL,
    last_used       INTEGER,
    uses            INTEGER NOT NULL,
    current_sum     BLOB    NOT NULL CHECK (length(current_sum) = 32),
    current_pepper  INTEGER NOT NULL, -- version, 0 for none
    previous_sum    BLOB    CHECK (length(previous_sum) = 32),
    previous_pepper INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX gatehouse_apikeys_created ON gatehouse_apikeys (created, id);
CREATE INDEX gatehouse_apikeys_tenant ON gatehouse_apikeys (tenant, created, id);
CREATE INDEX gatehouse_apikeys_owner ON gatehouse_apikeys (owner, tenant, created, id);
CREATE INDEX gatehouse_apikeys_due ON gatehouse_apikeys (expires, id) WHERE revoked IS NULL;
CREATE INDEX gatehouse_apikeys_tenant_due ON gatehouse_apikeys (tenant, expires, id) WHERE revoked IS NULL;
