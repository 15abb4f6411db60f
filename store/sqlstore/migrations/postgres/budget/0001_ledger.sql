-- SPDX-License-Identifier: Apache-2.0

-- Counters and holds of budgets. Times are microseconds since 1970. The arrays of a
-- hold have one element for each of its counters, in the order of account, span and
-- start: every function locks counters in this order, and holds before counters.
CREATE TABLE gatehouse_budget_counters (
    tenant  text   COLLATE "C" NOT NULL,
    account text   COLLATE "C" NOT NULL,
    span    text   COLLATE "C" NOT NULL,
    starts  BIGINT NOT NULL,
    ends    BIGINT NOT NULL,
    max     BIGINT NOT NULL,
    spent   BIGINT NOT NULL DEFAULT 0,
    held    BIGINT NOT NULL DEFAULT 0 CHECK (held >= 0),
    PRIMARY KEY (tenant, account, span, starts)
);

CREATE INDEX gatehouse_budget_counters_ends ON gatehouse_budget_counters (ends);

CREATE TABLE gatehouse_budget_holds (
    tenant   text     COLLATE "C" NOT NULL,
    id       text     COLLATE "C" NOT NULL,
    state    text     COLLATE "C" NOT NULL,
    due      BIGINT   NOT NULL, -- when a held one expires, and an ended one is removed
    accounts text[]   COLLATE "C" NOT NULL,
    spans    text[]   COLLATE "C" NOT NULL,
    starts   BIGINT[] NOT NULL,
    amounts  BIGINT[] NOT NULL,
    floors   BIGINT[] NOT NULL,
    charged  BIGINT[],
    PRIMARY KEY (tenant, id)
);

CREATE INDEX gatehouse_budget_holds_due ON gatehouse_budget_holds (due);

CREATE FUNCTION gatehouse_budget_now() RETURNS BIGINT LANGUAGE sql VOLATILE AS
$$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint $$;

-- What a counter has spent is from 0 to 2^53 - 1.
CREATE FUNCTION gatehouse_budget_spent(spent NUMERIC) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS
$$ SELECT least(greatest(spent, 0), 9007199254740991)::bigint $$;

-- Adds an amount to what a counter holds, if it fits. The counts are those of all
-- counters of the account and span from p_since on. made says that the counter is new,
-- and differs that it has another max or end, which gatehouse_budget_describe changes.
CREATE FUNCTION gatehouse_budget_add(
    p_tenant TEXT, p_account TEXT, p_span TEXT, p_starts BIGINT, p_ends BIGINT, p_since BIGINT, p_max BIGINT, p_limit BIGINT,
    p_amount BIGINT, OUT fits BOOLEAN, OUT o_spent BIGINT, OUT o_held BIGINT, OUT made BOOLEAN, OUT differs BOOLEAN
) LANGUAGE plpgsql AS $$
BEGIN
    made := false;
    differs := false;
    IF p_since < p_starts THEN
        -- Several counters count. A lock on all calls of the account and span covers the
        -- counters that do not exist yet.
        PERFORM pg_advisory_xact_lock(hashtextextended(p_tenant || '/' || p_account || '/' || p_span, 0));
        SELECT coalesce(sum(spent), 0), coalesce(sum(held), 0) INTO o_spent, o_held FROM gatehouse_budget_counters
        WHERE tenant = p_tenant AND account = p_account AND span = p_span AND starts >= p_since;
        fits := p_amount <= 0 OR o_spent + o_held + p_amount <= p_limit;
        IF fits THEN
            INSERT INTO gatehouse_budget_counters AS c (tenant, account, span, starts, ends, max, held)
            VALUES (p_tenant, p_account, p_span, p_starts, p_ends, p_max, greatest(p_amount, 0))
            ON CONFLICT (tenant, account, span, starts) DO UPDATE SET held = c.held + p_amount
            RETURNING c.xmax = 0, c.max <> p_max OR c.ends <> p_ends INTO made, differs;
            o_held := o_held + p_amount;
        END IF;
        RETURN;
    END IF;
    LOOP
        UPDATE gatehouse_budget_counters SET held = held + p_amount
        WHERE tenant = p_tenant AND account = p_account AND span = p_span AND starts = p_starts
            AND (p_amount <= 0 OR spent + held + p_amount <= p_limit)
        RETURNING spent, held, max <> p_max OR ends <> p_ends INTO o_spent, o_held, differs;
        fits := FOUND;
        IF fits THEN
            RETURN;
        END IF;
        SELECT spent, held INTO o_spent, o_held FROM gatehouse_budget_counters
        WHERE tenant = p_tenant AND account = p_account AND span = p_span AND starts = p_starts;
        IF FOUND THEN
            IF o_spent + o_held + p_amount > p_limit THEN
                RETURN;
            END IF;
            CONTINUE; -- it has changed since
        END IF;
        o_spent := 0;
        o_held := 0;
        IF p_amount > p_limit THEN
            RETURN;
        END IF;
        INSERT INTO gatehouse_budget_counters (tenant, account, span, starts, ends, max, held)
        VALUES (p_tenant, p_account, p_span, p_starts, p_ends, p_max, greatest(p_amount, 0))
        ON CONFLICT DO NOTHING;
        IF FOUND THEN
            fits := true;
            made := true;
            o_held := p_amount;
            RETURN;
        END IF;
    END LOOP;
END $$;

-- Takes back what gatehouse_budget_add has added to the first counters, of which made is known.
CREATE FUNCTION gatehouse_budget_undo(
    p_tenant TEXT, p_accounts TEXT[], p_spans TEXT[], p_starts BIGINT[], p_amounts BIGINT[], p_made BOOLEAN[]
) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. cardinality(p_made) LOOP
        IF p_made[i] THEN
            DELETE FROM gatehouse_budget_counters
            WHERE tenant = p_tenant AND account = p_accounts[i] AND span = p_spans[i] AND starts = p_starts[i];
        ELSE
            UPDATE gatehouse_budget_counters SET held = held - p_amounts[i]
            WHERE tenant = p_tenant AND account = p_accounts[i] AND span = p_spans[i] AND starts = p_starts[i];
        END IF;
    END LOOP;
END $$;

-- Gives counters another max and end.
CREATE FUNCTION gatehouse_budget_describe(
    p_tenant TEXT, p_accounts TEXT[], p_spans TEXT[], p_starts BIGINT[], p_ends BIGINT[], p_maxes BIGINT[]
) RETURNS VOID LANGUAGE sql AS $$
    UPDATE gatehouse_budget_counters c SET max = e.max, ends = e.ends
    FROM unnest(p_accounts, p_spans, p_starts, p_ends, p_maxes) AS e(account, span, starts, ends, max)
    WHERE c.tenant = p_tenant AND c.account = e.account AND c.span = e.span AND c.starts = e.starts
$$;

-- Adds amounts to all counters, or to none. The entry that does not fit is counted
-- from 0.
CREATE FUNCTION gatehouse_budget_add_all(
    p_tenant TEXT, p_accounts TEXT[], p_spans TEXT[], p_starts BIGINT[], p_ends BIGINT[], p_sinces BIGINT[],
    p_maxes BIGINT[], p_limits BIGINT[], p_amounts BIGINT[],
    OUT entry INTEGER, OUT spents BIGINT[], OUT helds BIGINT[], OUT made BOOLEAN[], OUT differs BOOLEAN
) LANGUAGE plpgsql AS $$
DECLARE
    added RECORD;
BEGIN
    made := '{}';
    differs := false;
    FOR i IN 1 .. cardinality(p_accounts) LOOP
        SELECT * INTO added FROM gatehouse_budget_add(p_tenant, p_accounts[i], p_spans[i], p_starts[i], p_ends[i], p_sinces[i],
            p_maxes[i], p_limits[i], p_amounts[i]);
        IF NOT added.fits THEN
            PERFORM gatehouse_budget_undo(p_tenant, p_accounts, p_spans, p_starts, p_amounts, made);
            entry := i - 1;
            spents := ARRAY[added.o_spent];
            helds := ARRAY[added.o_held];
            RETURN;
        END IF;
        spents[i] := added.o_spent;
        helds[i] := added.o_held;
        made[i] := added.made;
        differs := differs OR added.differs;
    END LOOP;
END $$;

CREATE FUNCTION gatehouse_budget_reserve(
    p_tenant TEXT, p_id TEXT, p_ttl BIGINT, p_accounts TEXT[], p_spans TEXT[], p_starts BIGINT[], p_nexts BIGINT[],
    p_ends BIGINT[], p_sinces BIGINT[], p_maxes BIGINT[], p_limits BIGINT[], p_amounts BIGINT[], p_floors BIGINT[],
    OUT outcome TEXT, OUT replayed BOOLEAN, OUT entry INTEGER, OUT at BIGINT, OUT deadline BIGINT,
    OUT spents BIGINT[], OUT helds BIGINT[], OUT charged BIGINT[]
) LANGUAGE plpgsql AS $$
DECLARE
    known gatehouse_budget_holds;
    added RECORD;
    moved BOOLEAN := false;
BEGIN
    at := gatehouse_budget_now();
    replayed := false;
    FOR i IN 1 .. cardinality(p_starts) LOOP
        moved := moved OR at < p_starts[i] OR at >= p_nexts[i];
    END LOOP;
    IF NOT moved THEN
        SELECT * INTO added FROM gatehouse_budget_add_all(p_tenant, p_accounts, p_spans, p_starts, p_ends, p_sinces, p_maxes, p_limits, p_amounts);
        IF added.entry IS NULL THEN
            deadline := at + p_ttl;
            INSERT INTO gatehouse_budget_holds (tenant, id, state, due, accounts, spans, starts, amounts, floors)
            VALUES (p_tenant, p_id, 'held', deadline, p_accounts, p_spans, p_starts, p_amounts, p_floors)
            ON CONFLICT DO NOTHING;
            IF FOUND THEN
                IF added.differs THEN
                    PERFORM gatehouse_budget_describe(p_tenant, p_accounts, p_spans, p_starts, p_ends, p_maxes);
                END IF;
                outcome := 'held';
                spents := added.spents;
                helds := added.helds;
                RETURN;
            END IF;
            -- The hold is in the counters already.
            PERFORM gatehouse_budget_undo(p_tenant, p_accounts, p_spans, p_starts, p_amounts, added.made);
        END IF;
    END IF;
    SELECT * INTO known FROM gatehouse_budget_holds WHERE tenant = p_tenant AND id = p_id;
    IF FOUND THEN
        replayed := true;
        deadline := known.due;
        charged := known.charged;
        IF known.accounts <> p_accounts OR known.spans <> p_spans OR known.starts <> p_starts OR known.amounts <> p_amounts THEN
            outcome := 'differs';
        ELSIF known.state = 'held' AND known.due <= at THEN
            outcome := 'stale';
        ELSE
            outcome := known.state;
        END IF;
    ELSIF moved THEN
        outcome := 'moved';
    ELSE
        outcome := 'exceeded';
        entry := added.entry;
        spents := added.spents;
        helds := added.helds;
        IF EXISTS (SELECT FROM gatehouse_budget_holds WHERE due <= at AND state = 'held') THEN
            outcome := 'stale'; -- the caller sweeps and tries again
        END IF;
    END IF;
END $$;

CREATE FUNCTION gatehouse_budget_extend(
    p_tenant TEXT, p_id TEXT, p_ttl BIGINT, p_accounts TEXT[], p_spans TEXT[], p_starts BIGINT[], p_nexts BIGINT[],
    p_ends BIGINT[], p_sinces BIGINT[], p_maxes BIGINT[], p_limits BIGINT[], p_amounts BIGINT[], p_floors BIGINT[],
    OUT outcome TEXT, OUT replayed BOOLEAN, OUT entry INTEGER, OUT at BIGINT, OUT deadline BIGINT,
    OUT spents BIGINT[], OUT helds BIGINT[], OUT charged BIGINT[]
) LANGUAGE plpgsql AS $$
DECLARE
    known gatehouse_budget_holds;
    added RECORD;
    more BIGINT[];
BEGIN
    at := gatehouse_budget_now();
    replayed := false;
    SELECT * INTO known FROM gatehouse_budget_holds WHERE tenant = p_tenant AND id = p_id FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 'absent';
        RETURN;
    END IF;
    IF known.accounts <> p_accounts OR known.spans <> p_spans OR known.starts <> p_starts THEN
        outcome := 'differs';
        RETURN;
    END IF;
    IF known.state <> 'held' THEN
        outcome := known.state;
        charged := known.charged;
        RETURN;
    END IF;
    IF known.due <= at THEN
        outcome := 'stale';
        RETURN;
    END IF;
    FOR i IN 1 .. cardinality(p_amounts) LOOP
        more[i] := p_amounts[i] - known.amounts[i];
    END LOOP;
    SELECT * INTO added FROM gatehouse_budget_add_all(p_tenant, p_accounts, p_spans, p_starts, p_ends, p_sinces, p_maxes, p_limits, more);
    IF added.entry IS NULL THEN
        outcome := 'held';
        deadline := at + p_ttl;
        IF added.differs THEN
            PERFORM gatehouse_budget_describe(p_tenant, p_accounts, p_spans, p_starts, p_ends, p_maxes);
        END IF;
        UPDATE gatehouse_budget_holds SET due = deadline, amounts = p_amounts, floors = p_floors WHERE tenant = p_tenant AND id = p_id;
    ELSE
        outcome := 'exceeded';
        entry := added.entry;
        IF EXISTS (SELECT FROM gatehouse_budget_holds WHERE due <= at AND state = 'held') THEN
            outcome := 'stale';
        END IF;
    END IF;
    spents := added.spents;
    helds := added.helds;
END $$;

CREATE FUNCTION gatehouse_budget_settle(
    p_tenant TEXT, p_id TEXT, p_amounts BIGINT[], p_retention BIGINT,
    OUT outcome TEXT, OUT replayed BOOLEAN, OUT entry INTEGER, OUT at BIGINT, OUT deadline BIGINT,
    OUT spents BIGINT[], OUT helds BIGINT[], OUT charged BIGINT[]
) LANGUAGE plpgsql AS $$
DECLARE
    known gatehouse_budget_holds;
    freed BIGINT;
    used BIGINT;
BEGIN
    at := gatehouse_budget_now();
    replayed := false;
    SELECT * INTO known FROM gatehouse_budget_holds WHERE tenant = p_tenant AND id = p_id FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 'absent';
        RETURN;
    END IF;
    IF cardinality(known.accounts) <> cardinality(p_amounts) THEN
        outcome := 'differs';
        RETURN;
    END IF;
    outcome := 'settled';
    IF known.state = 'settled' THEN
        replayed := true;
        charged := known.charged;
        RETURN;
    END IF;
    charged := p_amounts;
    UPDATE gatehouse_budget_holds SET state = 'settled', charged = p_amounts, due = at + p_retention WHERE tenant = p_tenant AND id = p_id;
    FOR i IN 1 .. cardinality(p_amounts) LOOP
        freed := known.amounts[i];
        used := p_amounts[i];
        IF known.state = 'expired' THEN
            freed := 0;
            used := used - known.charged[i];
        END IF;
        UPDATE gatehouse_budget_counters SET held = held - freed, spent = gatehouse_budget_spent(spent + used)
        WHERE tenant = p_tenant AND account = known.accounts[i] AND span = known.spans[i] AND starts = known.starts[i]
        RETURNING spent, held INTO used, freed;
        spents[i] := used; -- null if the counter is gone, long after its end
        helds[i] := freed;
    END LOOP;
END $$;

-- Returns how many holds expired.
CREATE FUNCTION gatehouse_budget_sweep(p_limit INTEGER, p_retention BIGINT, p_counters BIGINT) RETURNS INTEGER LANGUAGE plpgsql AS $$
DECLARE
    at BIGINT := gatehouse_budget_now();
    expired INTEGER := 0;
    c RECORD;
BEGIN
    -- A hold that another call has locked is settled or extended by it. One counter may
    -- be that of several holds: their sum is one change.
    FOR c IN
        WITH doomed AS MATERIALIZED (
            SELECT tenant, id FROM gatehouse_budget_holds
            WHERE due <= at AND state = 'held' ORDER BY due LIMIT p_limit FOR UPDATE SKIP LOCKED
        ),
        ended AS (
            UPDATE gatehouse_budget_holds h SET state = 'expired', charged = h.floors, due = at + p_retention
            FROM doomed d WHERE h.tenant = d.tenant AND h.id = d.id
            RETURNING h.tenant, h.accounts, h.spans, h.starts, h.amounts, h.floors
        )
        SELECT e.tenant, l.account, l.span, l.starts, sum(l.amount)::bigint AS amount, sum(l.floor) AS floor,
            (SELECT count(*) FROM ended) AS holds
        FROM ended e, unnest(e.accounts, e.spans, e.starts, e.amounts, e.floors) AS l(account, span, starts, amount, floor)
        GROUP BY e.tenant, l.account, l.span, l.starts
        ORDER BY e.tenant COLLATE "C", l.account COLLATE "C", l.span COLLATE "C", l.starts
    LOOP
        expired := c.holds;
        UPDATE gatehouse_budget_counters SET held = held - c.amount, spent = gatehouse_budget_spent(spent + c.floor)
        WHERE tenant = c.tenant AND account = c.account AND span = c.span AND starts = c.starts;
    END LOOP;
    DELETE FROM gatehouse_budget_holds h USING (
        SELECT tenant, id FROM gatehouse_budget_holds WHERE due <= at AND state <> 'held' LIMIT p_limit FOR UPDATE SKIP LOCKED
    ) d WHERE h.tenant = d.tenant AND h.id = d.id;
    DELETE FROM gatehouse_budget_counters k USING (
        SELECT tenant, account, span, starts FROM gatehouse_budget_counters WHERE ends <= at - p_counters LIMIT p_limit FOR UPDATE SKIP LOCKED
    ) d WHERE k.tenant = d.tenant AND k.account = d.account AND k.span = d.span AND k.starts = d.starts;
    RETURN expired;
END $$;
