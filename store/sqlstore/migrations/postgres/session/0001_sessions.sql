-- SPDX-License-Identifier: Apache-2.0

CREATE TABLE gatehouse_sessions (
    id        text        COLLATE "C" NOT NULL PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 255), -- hashed
    issuer    text        COLLATE "C" NOT NULL,
    subject   text        COLLATE "C" NOT NULL,
    sid       text        COLLATE "C" NOT NULL,
    label     text        COLLATE "C" NOT NULL,
    idle      bigint      NOT NULL, -- microseconds
    created   timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    expires   timestamptz NOT NULL,
    ends      timestamptz NOT NULL, -- the earlier of expires and last_seen + idle
    swept     timestamptz NOT NULL, -- ends, rounded up to the hour
    claimed   timestamptz,
    version   bigint      NOT NULL,
    principal text        COLLATE "C" NOT NULL, -- JSON, kept byte by byte
    tokens    text        COLLATE "C" NOT NULL  -- sealed
) WITH (fillfactor = 85);

CREATE INDEX gatehouse_sessions_subject ON gatehouse_sessions (issuer, subject);
CREATE INDEX gatehouse_sessions_sid ON gatehouse_sessions (issuer, sid);

-- Touch changes no indexed column, so that its updates are heap-only, except this
-- one, which changes once an hour.
CREATE INDEX gatehouse_sessions_swept ON gatehouse_sessions (swept);
