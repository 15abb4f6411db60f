// SPDX-License-Identifier: Apache-2.0

package sqlstore

// familySQL has the statements of one engine. The parts of revokeAll and list are
// joined with conditions between them, and a question mark in them stands for a
// value; the others are whole statements with numbered placeholders.
type familySQL struct {
	create, find, rotate, revoke string

	revokeAll, revokeAllLimit string
	list, listOrder           string
}

// familyColumns are the columns that scanFamily reads, except for the time.
const familyColumns = ` id, subject, client, tenant, scopes, metadata, auth_time, created, expires, rotated, grace_ends, revoked,
	generation, outcome, key_sum, current_sum, previous_sum, successor, `

// Conditions for the outcomes of Rotate. They are evaluated, and the changes made,
// while the row is locked.
const (
	familyActivePostgres   = `(revoked IS NULL AND expires > (SELECT now FROM clock))`
	familyRotatedPostgres  = `(` + familyActivePostgres + ` AND client = $4 AND current_sum = $3::bytea)`
	familyReplayedPostgres = `(` + familyActivePostgres + ` AND client = $4 AND previous_sum IS NOT DISTINCT FROM $3::bytea
		AND grace_ends > (SELECT now FROM clock))`

	familyActiveSQLite   = `(revoked IS NULL AND expires > ` + nowSQLite + `)`
	familyRotatedSQLite  = `(` + familyActiveSQLite + ` AND client = ?4 AND current_sum = ?3)`
	familyReplayedSQLite = `(` + familyActiveSQLite + ` AND client = ?4 AND previous_sum IS ?3 AND grace_ends > ` + nowSQLite + `)`
)

// lockedFamilyPostgres waits for the lock on record $1 and then reads the clock:
// see apikeyPostgres.
const lockedFamilyPostgres = `
WITH locked AS MATERIALIZED (SELECT id FROM gatehouse_families WHERE id = $1 FOR UPDATE),
clock AS MATERIALIZED (SELECT clock_timestamp() AS now FROM locked)`

var familyPostgres = familySQL{
	create: `
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
INSERT INTO gatehouse_families (id, subject, client, tenant, scopes, metadata, auth_time, created, expires, generation, outcome, key_sum, current_sum)
SELECT $1, $2, $3, $4, $5, $6, timestamptz 'epoch' + $7::bigint * interval '1 microsecond',
	now, now + $8::bigint * interval '1 microsecond', 1, '', $9::bytea, $10::bytea
FROM clock
RETURNING` + familyColumns + `created`,

	// The row is read before the clock, so that no time in it is later.
	find: `SELECT` + familyColumns + `clock_timestamp() FROM gatehouse_families WHERE id = $1`,

	rotate: lockedFamilyPostgres + `
UPDATE gatehouse_families SET
	outcome = CASE WHEN ` + familyRotatedPostgres + ` THEN 'rotated' WHEN ` + familyReplayedPostgres + ` THEN 'replayed'
		WHEN ` + familyActivePostgres + ` THEN 'reused'
		WHEN revoked IS NOT NULL THEN 'revoked' ELSE 'expired' END,
	previous_sum = CASE WHEN ` + familyRotatedPostgres + ` THEN current_sum ELSE previous_sum END,
	current_sum = CASE WHEN ` + familyRotatedPostgres + ` THEN $5::bytea ELSE current_sum END,
	successor = CASE WHEN ` + familyRotatedPostgres + ` THEN $6::bytea
		WHEN ` + familyReplayedPostgres + ` OR NOT ` + familyActivePostgres + ` THEN successor END,
	rotated = CASE WHEN ` + familyRotatedPostgres + ` THEN (SELECT now FROM clock) ELSE rotated END,
	grace_ends = CASE WHEN ` + familyRotatedPostgres + `
		THEN least(expires, (SELECT now FROM clock) + $7::bigint * interval '1 microsecond') ELSE grace_ends END,
	generation = CASE WHEN ` + familyRotatedPostgres + ` THEN generation + 1 ELSE generation END,
	revoked = CASE WHEN NOT ` + familyActivePostgres + ` OR ` + familyRotatedPostgres + ` OR ` + familyReplayedPostgres + `
		THEN revoked ELSE (SELECT now FROM clock) END
WHERE id = $1 AND key_sum = $2::bytea
RETURNING` + familyColumns + `(SELECT now FROM clock)`,

	revoke: lockedFamilyPostgres + `
UPDATE gatehouse_families SET revoked = coalesce(revoked, (SELECT now FROM clock)), successor = NULL
WHERE id = $1
RETURNING` + familyColumns + `(SELECT now FROM clock)`,

	// The advisory lock prevents deadlocks between two calls: see apikeyPostgres.
	// Its number is "gh-endal" in ASCII.
	revokeAll: `
WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(7451255500745891180)),
doomed AS MATERIALIZED (
	SELECT id FROM gatehouse_families
	WHERE revoked IS NULL AND expires > clock_timestamp() AND EXISTS (SELECT FROM turn)`,
	revokeAllLimit: `
	LIMIT ? FOR UPDATE
),
clock AS MATERIALIZED (SELECT clock_timestamp() AS now FROM (SELECT count(*) FROM doomed) AS locked)
UPDATE gatehouse_families SET revoked = (SELECT now FROM clock), successor = NULL
WHERE id IN (SELECT id FROM doomed)
RETURNING` + familyColumns + `(SELECT now FROM clock)`,

	list: clockPostgres + `
SELECT` + familyColumns + `(SELECT now FROM clock) FROM gatehouse_families
WHERE revoked IS NULL AND expires > (SELECT now FROM clock)`,
	listOrder: familyOrder,
}

var familySQLite = familySQL{
	create: `
INSERT INTO gatehouse_families (id, subject, client, tenant, scopes, metadata, auth_time, created, expires, generation, outcome, key_sum, current_sum)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ` + nowSQLite + `, ` + nowSQLite + ` + ?8, 1, '', ?9, ?10)
RETURNING` + familyColumns + `created`,

	find: `SELECT` + familyColumns + nowSQLite + ` FROM gatehouse_families WHERE id = ?1`,

	rotate: `
UPDATE gatehouse_families SET
	outcome = CASE WHEN ` + familyRotatedSQLite + ` THEN 'rotated' WHEN ` + familyReplayedSQLite + ` THEN 'replayed'
		WHEN ` + familyActiveSQLite + ` THEN 'reused'
		WHEN revoked IS NOT NULL THEN 'revoked' ELSE 'expired' END,
	previous_sum = CASE WHEN ` + familyRotatedSQLite + ` THEN current_sum ELSE previous_sum END,
	current_sum = CASE WHEN ` + familyRotatedSQLite + ` THEN ?5 ELSE current_sum END,
	successor = CASE WHEN ` + familyRotatedSQLite + ` THEN ?6
		WHEN ` + familyReplayedSQLite + ` OR NOT ` + familyActiveSQLite + ` THEN successor END,
	rotated = CASE WHEN ` + familyRotatedSQLite + ` THEN ` + nowSQLite + ` ELSE rotated END,
	grace_ends = CASE WHEN ` + familyRotatedSQLite + ` THEN min(expires, ` + nowSQLite + ` + ?7) ELSE grace_ends END,
	generation = CASE WHEN ` + familyRotatedSQLite + ` THEN generation + 1 ELSE generation END,
	revoked = CASE WHEN NOT ` + familyActiveSQLite + ` OR ` + familyRotatedSQLite + ` OR ` + familyReplayedSQLite + `
		THEN revoked ELSE ` + nowSQLite + ` END
WHERE id = ?1 AND key_sum = ?2
RETURNING` + familyColumns + nowSQLite,

	revoke: `
UPDATE gatehouse_families SET revoked = coalesce(revoked, ` + nowSQLite + `), successor = NULL
WHERE id = ?1
RETURNING` + familyColumns + nowSQLite,

	revokeAll: `
UPDATE gatehouse_families SET revoked = ` + nowSQLite + `, successor = NULL
WHERE id IN (
	SELECT id FROM gatehouse_families WHERE revoked IS NULL AND expires > ` + nowSQLite,
	revokeAllLimit: `
	LIMIT ?
)
RETURNING` + familyColumns + nowSQLite,

	list:      `SELECT` + familyColumns + nowSQLite + ` FROM gatehouse_families WHERE revoked IS NULL AND expires > ` + nowSQLite,
	listOrder: familyOrder,
}

const familyOrder = ` ORDER BY coalesce(rotated, created) DESC, id LIMIT ?`
