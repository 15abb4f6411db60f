-- SPDX-License-Identifier: Apache-2.0

CREATE TABLE gatehouse_approvals (
    id        text        COLLATE "C" NOT NULL PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 255),
    tenant    text        COLLATE "C" NOT NULL,
    digest    bytea       NOT NULL CHECK (octet_length(digest) = 32),
    subject   text        COLLATE "C" NOT NULL, -- gatehouse.Key, like actor
    actor     text        COLLATE "C" NOT NULL,
    tool      text        COLLATE "C" NOT NULL,
    version   text        COLLATE "C" NOT NULL,
    arguments text        COLLATE "C" NOT NULL, -- RFC 8785
    consent   boolean     NOT NULL,
    roles     text        COLLATE "C" NOT NULL, -- each between two line feeds
    needed    bigint      NOT NULL,             -- persons who must approve, 0 for 1
    created   timestamptz NOT NULL,
    expires   timestamptz NOT NULL,
    used      timestamptz,
    state     text        COLLATE "C" NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'used')),
    approved  bigint      NOT NULL,             -- persons who have approved
    decisions text        COLLATE "C" NOT NULL  -- lines: key of the decider, approve or deny, reason in URL encoding, microseconds since 1970
);

-- A call has one approval that waits or can be used.
CREATE UNIQUE INDEX gatehouse_approvals_open ON gatehouse_approvals (digest) WHERE state IN ('pending', 'approved');
CREATE INDEX gatehouse_approvals_denied ON gatehouse_approvals (digest) WHERE state = 'denied';
CREATE INDEX gatehouse_approvals_pending ON gatehouse_approvals (tenant, created) WHERE state = 'pending';
CREATE INDEX gatehouse_approvals_actor ON gatehouse_approvals (tenant, actor) WHERE state = 'pending';
CREATE INDEX gatehouse_approvals_expires ON gatehouse_approvals (expires);

-- Each insert removes up to ten rows that expired an hour ago, so that the table does
-- not grow. Rows that another transaction has locked are skipped.
CREATE FUNCTION gatehouse_approvals_sweep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM gatehouse_approvals WHERE id IN (
        SELECT id FROM gatehouse_approvals
        WHERE expires <= clock_timestamp() - interval '1 hour' ORDER BY expires LIMIT 10 FOR UPDATE SKIP LOCKED
    );
    RETURN NULL;
END
$$;

CREATE TRIGGER gatehouse_approvals_added AFTER INSERT ON gatehouse_approvals FOR EACH STATEMENT
    EXECUTE FUNCTION gatehouse_approvals_sweep();
