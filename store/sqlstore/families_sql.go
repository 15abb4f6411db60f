// SPDX-License-Identifier: Apache-2.0

package sqlstore

// familySQL is what one engine is told. Each text but those of endAll is one
// statement with its own placeholders; the texts of endAll are put one behind
// the other, and a question mark in them stands for a value.
type familySQL struct {
	create, find, rotate, end string

	endAll, endAllLimit string
}

// familyColumns are what scanFamily reads, but for the engine's now.
const familyColumns = ` id, subject, client, tenant, scopes, metadata, auth_time, created, expires, rotated, grace_ends, ended,
	generation, outcome, key_sum, current_sum, previous_sum, successor, `

// The conditions under which a token is what. They are decided on, and all that
// follows from them is put in, while the row is locked.
const (
	familyLivePostgres     = `(ended IS NULL AND expires > (SELECT now FROM clock))`
	familyRotatedPostgres  = `(` + familyLivePostgres + ` AND client = $4 AND current_sum = $3::bytea)`
	familyReplayedPostgres = `(` + familyLivePostgres + ` AND client = $4 AND previous_sum IS NOT DISTINCT FROM $3::bytea
		AND grace_ends > (SELECT now FROM clock))`

	familyLiveSQLite     = `(ended IS NULL AND expires > ` + nowSQLite + `)`
	familyRotatedSQLite  = `(` + familyLiveSQLite + ` AND client = ?4 AND current_sum = ?3)`
	familyReplayedSQLite = `(` + familyLiveSQLite + ` AND client = ?4 AND previous_sum IS ?3 AND grace_ends > ` + nowSQLite + `)`
)

// lockedFamilyPostgres waits for the lock on the record $1 and reads the clock
// then: see apikeyPostgres.
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

	// The row is read before the clock, so that nothing in it lies after it.
	find: `SELECT` + familyColumns + `clock_timestamp() FROM gatehouse_families WHERE id = $1`,

	rotate: lockedFamilyPostgres + `
UPDATE gatehouse_families SET
	outcome = CASE WHEN ` + familyRotatedPostgres + ` THEN 'rotated' WHEN ` + familyReplayedPostgres + ` THEN 'replayed'
		WHEN ` + familyLivePostgres + ` THEN 'reused' ELSE 'over' END,
	previous_sum = CASE WHEN ` + familyRotatedPostgres + ` THEN current_sum ELSE previous_sum END,
	current_sum = CASE WHEN ` + familyRotatedPostgres + ` THEN $5::bytea ELSE current_sum END,
	successor = CASE WHEN ` + familyRotatedPostgres + ` THEN $6::bytea
		WHEN ` + familyReplayedPostgres + ` OR NOT ` + familyLivePostgres + ` THEN successor END,
	rotated = CASE WHEN ` + familyRotatedPostgres + ` THEN (SELECT now FROM clock) ELSE rotated END,
	grace_ends = CASE WHEN ` + familyRotatedPostgres + `
		THEN least(expires, (SELECT now FROM clock) + $7::bigint * interval '1 microsecond') ELSE grace_ends END,
	generation = CASE WHEN ` + familyRotatedPostgres + ` THEN generation + 1 ELSE generation END,
	ended = CASE WHEN NOT ` + familyLivePostgres + ` OR ` + familyRotatedPostgres + ` OR ` + familyReplayedPostgres + `
		THEN ended ELSE (SELECT now FROM clock) END
WHERE id = $1 AND key_sum = $2::bytea
RETURNING` + familyColumns + `(SELECT now FROM clock)`,

	end: lockedFamilyPostgres + `
UPDATE gatehouse_families SET ended = coalesce(ended, (SELECT now FROM clock)), successor = NULL
WHERE id = $1
RETURNING` + familyColumns + `(SELECT now FROM clock)`,

	// Those who end many take turns: see apikeyPostgres. The number is
	// "gh-endal" in ASCII.
	endAll: `
WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(7451255500745891180)),
doomed AS MATERIALIZED (
	SELECT id FROM gatehouse_families
	WHERE ended IS NULL AND expires > clock_timestamp() AND EXISTS (SELECT FROM turn)`,
	endAllLimit: `
	LIMIT ? FOR UPDATE
),
clock AS MATERIALIZED (SELECT clock_timestamp() AS now FROM (SELECT count(*) FROM doomed) AS locked)
UPDATE gatehouse_families SET ended = (SELECT now FROM clock), successor = NULL
WHERE id IN (SELECT id FROM doomed)
RETURNING` + familyColumns + `(SELECT now FROM clock)`,
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
		WHEN ` + familyLiveSQLite + ` THEN 'reused' ELSE 'over' END,
	previous_sum = CASE WHEN ` + familyRotatedSQLite + ` THEN current_sum ELSE previous_sum END,
	current_sum = CASE WHEN ` + familyRotatedSQLite + ` THEN ?5 ELSE current_sum END,
	successor = CASE WHEN ` + familyRotatedSQLite + ` THEN ?6
		WHEN ` + familyReplayedSQLite + ` OR NOT ` + familyLiveSQLite + ` THEN successor END,
	rotated = CASE WHEN ` + familyRotatedSQLite + ` THEN ` + nowSQLite + ` ELSE rotated END,
	grace_ends = CASE WHEN ` + familyRotatedSQLite + ` THEN min(expires, ` + nowSQLite + ` + ?7) ELSE grace_ends END,
	generation = CASE WHEN ` + familyRotatedSQLite + ` THEN generation + 1 ELSE generation END,
	ended = CASE WHEN NOT ` + familyLiveSQLite + ` OR ` + familyRotatedSQLite + ` OR ` + familyReplayedSQLite + `
		THEN ended ELSE ` + nowSQLite + ` END
WHERE id = ?1 AND key_sum = ?2
RETURNING` + familyColumns + nowSQLite,

	end: `
UPDATE gatehouse_families SET ended = coalesce(ended, ` + nowSQLite + `), successor = NULL
WHERE id = ?1
RETURNING` + familyColumns + nowSQLite,

	endAll: `
UPDATE gatehouse_families SET ended = ` + nowSQLite + `, successor = NULL
WHERE id IN (
	SELECT id FROM gatehouse_families WHERE ended IS NULL AND expires > ` + nowSQLite,
	endAllLimit: `
	LIMIT ?
)
RETURNING` + familyColumns + nowSQLite,
}
