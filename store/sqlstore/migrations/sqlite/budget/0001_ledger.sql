-- SPDX-License-Identifier: Apache-2.0

-- Counters and holds of budgets. Times are microseconds since 1970. The lists of a
-- hold are JSON arrays, one element for each of its counters.
CREATE TABLE gatehouse_budget_counters (
    tenant  TEXT    NOT NULL,
    account TEXT    NOT NULL,
    span    TEXT    NOT NULL,
    starts  INTEGER NOT NULL,
    ends    INTEGER NOT NULL,
    max     INTEGER NOT NULL,
    spent   INTEGER NOT NULL DEFAULT 0,
    held    INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
    PRIMARY KEY (tenant, account, span, starts)
) WITHOUT ROWID;

CREATE INDEX gatehouse_budget_counters_ends ON gatehouse_budget_counters (ends);

CREATE TABLE gatehouse_budget_holds (
    tenant   TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    due      INTEGER NOT NULL, -- when a held one expires, and an ended one is removed
    accounts TEXT    NOT NULL,
    spans    TEXT    NOT NULL,
    starts   TEXT    NOT NULL,
    amounts  TEXT    NOT NULL,
    floors   TEXT    NOT NULL,
    charged  TEXT,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

CREATE INDEX gatehouse_budget_holds_due ON gatehouse_budget_holds (due);
