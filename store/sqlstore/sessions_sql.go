// SPDX-License-Identifier: Apache-2.0

package sqlstore

// sessionSQL holds the statements of one engine. In deleteAll and list, a question
// mark is a placeholder; the others have the placeholders of the engine.
type sessionSQL struct {
	create, get, swap, touch, delete string

	deleteAll, deleteAllReturning string
	list, listOrder               string
}

const (
	// sessionColumns are the columns that scanSession reads, without the time of
	// the engine.
	sessionColumns       = sessionListedColumns + `principal, tokens, `
	sessionListedColumns = ` id, issuer, subject, sid, label, idle, created, last_seen, expires, claimed, version, `
)

// sessionPostgres reads the clock once in each statement, after the row is locked,
// as the statements of API keys do.
var sessionPostgres = sessionSQL{
	// Expired sessions are removed a few at a time. Locked ones are skipped, so
	// that no statement waits for them.
	create: `
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
doomed AS MATERIALIZED (
	SELECT id FROM gatehouse_sessions
	WHERE swept <= (SELECT now FROM clock) AND id <> $1
	ORDER BY swept LIMIT 10 FOR UPDATE SKIP LOCKED
),
removed AS (DELETE FROM gatehouse_sessions WHERE id IN (SELECT id FROM doomed)),
made AS (
	SELECT now, now + $7::bigint * interval '1 microsecond' AS expires,
		least(now + $7::bigint * interval '1 microsecond', now + $6::bigint * interval '1 microsecond') AS ends
	FROM clock
)
INSERT INTO gatehouse_sessions AS old (id, issuer, subject, sid, label, idle, principal, tokens,
	created, last_seen, expires, ends, swept, version)
SELECT $1, $2, $3, $4, $5, $6::bigint, $8, $9,
	now, now, expires, ends, date_bin('1 hour', ends, timestamptz 'epoch') + interval '1 hour', 1
FROM made
ON CONFLICT (id) DO UPDATE SET
	issuer = excluded.issuer, subject = excluded.subject, sid = excluded.sid, label = excluded.label,
	idle = excluded.idle, principal = excluded.principal, tokens = excluded.tokens,
	created = excluded.created, last_seen = excluded.last_seen, expires = excluded.expires,
	ends = excluded.ends, swept = excluded.swept, claimed = NULL, version = 1
WHERE old.ends <= excluded.created
RETURNING` + sessionColumns + `created`,

	// The rows are read before the clock, so that no time in them is later.
	get: clockPostgres + `
SELECT` + sessionColumns + `(SELECT now FROM clock) FROM gatehouse_sessions
WHERE id = $1 AND ends > (SELECT now FROM clock)`,

	// If an expired session has the new ID, it is removed first.
	swap: lockedSessionPostgres + `,
removed AS (
	DELETE FROM gatehouse_sessions
	WHERE id = $3 AND $3 <> $1 AND ends <= (SELECT now FROM clock)
		AND EXISTS (SELECT FROM locked WHERE version = $2::bigint AND ends > (SELECT now FROM clock))
	RETURNING id
)
UPDATE gatehouse_sessions SET
	id = $3,
	principal = $4,
	tokens = $5,
	claimed = CASE WHEN $6::bigint > 0 THEN (SELECT now FROM clock) + $6::bigint * interval '1 microsecond' END,
	version = version + 1,` + seenPostgres + `
WHERE id = $1 AND version = $2::bigint AND ends > (SELECT now FROM clock)
	AND (SELECT count(*) FROM removed) >= 0
	AND ($3 = $1 OR NOT EXISTS (
		SELECT FROM gatehouse_sessions AS other WHERE other.id = $3 AND other.ends > (SELECT now FROM clock)
	))
RETURNING` + sessionColumns + `(SELECT now FROM clock)`,

	touch: lockedSessionPostgres + `
UPDATE gatehouse_sessions SET` + seenPostgres + `
WHERE id = $1 AND ends > (SELECT now FROM clock)
	AND last_seen <= (SELECT now FROM clock) - $2::bigint * interval '1 microsecond'
RETURNING id`,

	delete: `DELETE FROM gatehouse_sessions WHERE id = $1`,

	// A lock serializes concurrent statements, as for API keys, which prevents
	// deadlocks. The rows are selected by user and not by ID, so that a session
	// that gets a new ID concurrently is removed too. The number is "gh-sessn" in
	// ASCII.
	deleteAll: `
WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(7451255557131039598))
DELETE FROM gatehouse_sessions WHERE EXISTS (SELECT FROM turn)`,
	deleteAllReturning: ` RETURNING ends > clock_timestamp()`,

	list: clockPostgres + `
SELECT` + sessionListedColumns + `'', '', (SELECT now FROM clock) FROM gatehouse_sessions
WHERE ends > (SELECT now FROM clock)`,
	listOrder: ` ORDER BY last_seen DESC, id LIMIT ?`,
}

const (
	clockPostgres = `
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)`

	// lockedSessionPostgres waits for the lock on the record $1 and reads the
	// clock then.
	lockedSessionPostgres = `
WITH locked AS MATERIALIZED (SELECT id, version, ends FROM gatehouse_sessions WHERE id = $1 FOR UPDATE),
clock AS MATERIALIZED (SELECT clock_timestamp() AS now FROM locked)`

	// seenPostgres sets the columns that depend on the time of the last use.
	seenPostgres = `
	last_seen = (SELECT now FROM clock),
	ends = least(expires, (SELECT now FROM clock) + idle * interval '1 microsecond'),
	swept = date_bin('1 hour', least(expires, (SELECT now FROM clock) + idle * interval '1 microsecond'), timestamptz 'epoch')
		+ interval '1 hour'`
)

// sessionSQLite has no statement that removes expired sessions: a trigger does so
// after each insertion.
var sessionSQLite = sessionSQL{
	create: `
INSERT INTO gatehouse_sessions (id, issuer, subject, sid, label, idle, principal, tokens,
	created, last_seen, expires, ends, swept, version)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?8, ?9,
	` + nowSQLite + `, ` + nowSQLite + `, ` + nowSQLite + ` + ?7, ` + nowSQLite + ` + min(?6, ?7),
	((` + nowSQLite + ` + min(?6, ?7)) / ` + hourSQLite + ` + 1) * ` + hourSQLite + `, 1)
ON CONFLICT (id) DO UPDATE SET
	issuer = excluded.issuer, subject = excluded.subject, sid = excluded.sid, label = excluded.label,
	idle = excluded.idle, principal = excluded.principal, tokens = excluded.tokens,
	created = excluded.created, last_seen = excluded.last_seen, expires = excluded.expires,
	ends = excluded.ends, swept = excluded.swept, claimed = NULL, version = 1
WHERE gatehouse_sessions.ends <= excluded.created
RETURNING` + sessionColumns + `created`,

	get: `SELECT` + sessionColumns + nowSQLite + ` FROM gatehouse_sessions WHERE id = ?1 AND ends > ` + nowSQLite,

	// Only an expired session is replaced.
	swap: `
UPDATE OR REPLACE gatehouse_sessions SET
	id = ?3,
	principal = ?4,
	tokens = ?5,
	claimed = CASE WHEN ?6 > 0 THEN ` + nowSQLite + ` + ?6 END,
	version = version + 1,` + seenSQLite + `
WHERE id = ?1 AND version = ?2 AND ends > ` + nowSQLite + `
	AND (?3 = ?1 OR NOT EXISTS (
		SELECT 1 FROM gatehouse_sessions AS other WHERE other.id = ?3 AND other.ends > ` + nowSQLite + `
	))
RETURNING` + sessionColumns + nowSQLite,

	touch: `
UPDATE gatehouse_sessions SET` + seenSQLite + `
WHERE id = ?1 AND ends > ` + nowSQLite + ` AND last_seen <= ` + nowSQLite + ` - ?2
RETURNING id`,

	delete: `DELETE FROM gatehouse_sessions WHERE id = ?1`,

	deleteAll:          `DELETE FROM gatehouse_sessions WHERE true`,
	deleteAllReturning: ` RETURNING ends > ` + nowSQLite,

	list: `SELECT` + sessionListedColumns + `'', '', ` + nowSQLite + ` FROM gatehouse_sessions
WHERE ends > ` + nowSQLite,
	listOrder: ` ORDER BY last_seen DESC, id LIMIT ?`,
}

const (
	hourSQLite = `3600000000`

	// seenSQLite sets the columns that depend on the time of the last use.
	seenSQLite = `
	last_seen = ` + nowSQLite + `,
	ends = min(expires, ` + nowSQLite + ` + idle),
	swept = (min(expires, ` + nowSQLite + ` + idle) / ` + hourSQLite + ` + 1) * ` + hourSQLite
)
