// SPDX-License-Identifier: Apache-2.0

package sqlstore

// apikeySQL are the statements for one database. The texts of the first line are
// whole statements with numbered parameters. The others are parts that are
// concatenated, with a question mark for each parameter.
type apikeySQL struct {
	create, find, rotate, revoke, suspend, resume, touch, remove, importRecord string

	list, due, afterCreated, afterExpires string
	revokeAll, revokeAllLimit             string
}

// recordColumns are the columns that scanRecord reads before the time.
const recordColumns = ` id, owner, tenant, environment, scopes, networks, metadata, lifetime,
	created, rotated, expires, grace_ends, revoked, suspended, generation, last_used, uses,
	current_sum, current_pepper, previous_sum, previous_pepper, `

// apikeyPostgres are the statements for PostgreSQL.
//
// Each statement reads the clock once, after it has locked the row. Otherwise a
// statement that waited for another one would use an earlier time than that one.
// The locked row is the newest version, because READ COMMITTED evaluates the
// conditions and the new values of an UPDATE on the newest version.
var apikeyPostgres = apikeySQL{
	create: `
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
INSERT INTO gatehouse_apikeys (id, owner, tenant, environment, scopes, networks, metadata, lifetime,
	created, rotated, expires, generation, uses, current_sum, current_pepper)
SELECT $1, $2, $3, $4, $5, $6, $7, $8::bigint,
	now, now, now + $8::bigint * interval '1 microsecond', 1, 0, $9::bytea, $10::bigint
FROM clock
RETURNING` + recordColumns + `created`,

	// The row is read before the clock, so that no time in it is later.
	find: `SELECT` + recordColumns + `clock_timestamp() FROM gatehouse_apikeys WHERE id = $1`,

	rotate: lockedPostgres + `
UPDATE gatehouse_apikeys SET
	previous_sum = current_sum,
	previous_pepper = current_pepper,
	grace_ends = least(expires, (SELECT now FROM clock) + $4::bigint * interval '1 microsecond'),
	current_sum = $2::bytea,
	current_pepper = $3::bigint,
	rotated = (SELECT now FROM clock),
	expires = (SELECT now FROM clock) + least(lifetime, $5::bigint) * interval '1 microsecond',
	generation = generation + 1
WHERE id = $1 AND revoked IS NULL AND expires > (SELECT now FROM clock) AND $6::bigint IN (0, generation)
RETURNING` + recordColumns + `(SELECT now FROM clock)`,

	revoke: lockedPostgres + `
UPDATE gatehouse_apikeys SET revoked = coalesce(revoked, (SELECT now FROM clock))
WHERE id = $1
RETURNING` + recordColumns + `(SELECT now FROM clock)`,

	suspend: lockedPostgres + `
UPDATE gatehouse_apikeys SET suspended = coalesce(suspended, (SELECT now FROM clock))
WHERE id = $1
RETURNING` + recordColumns + `(SELECT now FROM clock)`,

	resume: `
UPDATE gatehouse_apikeys SET suspended = NULL
WHERE id = $1
RETURNING` + recordColumns + `clock_timestamp()`,

	touch: lockedPostgres + `
UPDATE gatehouse_apikeys SET last_used = (SELECT now FROM clock), uses = uses + $2::bigint
WHERE id = $1 AND (last_used IS NULL OR last_used <= (SELECT now FROM clock) - $3::bigint * interval '1 microsecond')
RETURNING id`,

	remove: `DELETE FROM gatehouse_apikeys WHERE id = $1 AND (revoked IS NOT NULL OR expires <= clock_timestamp()) RETURNING id`,

	importRecord: importSQL("timestamptz 'epoch' + $%d::bigint * interval '1 microsecond'", "$%d", "greatest(%s, %s)", "clock_timestamp()"),

	list: `
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
SELECT` + recordColumns + `(SELECT now FROM clock) FROM gatehouse_apikeys
WHERE true`,
	due: ` AND revoked IS NULL AND expires > (SELECT now FROM clock)
	AND expires <= (SELECT now FROM clock) + ?::bigint * interval '1 microsecond'`,
	afterCreated: ` AND (created, id) > (timestamptz 'epoch' + ?::bigint * interval '1 microsecond', ?)`,
	afterExpires: ` AND (expires, id) > (timestamptz 'epoch' + ?::bigint * interval '1 microsecond', ?)`,

	// Bulk revocations hold an advisory lock: each locks many rows in no fixed
	// order, and two could deadlock. All other statements lock a single row.
	// The number is "gh-revok" in ASCII.
	revokeAll: `
WITH bulk AS MATERIALIZED (SELECT pg_advisory_xact_lock(7451255552836267883)),
matching AS MATERIALIZED (
	SELECT id FROM gatehouse_apikeys
	WHERE revoked IS NULL AND EXISTS (SELECT FROM bulk)`,
	revokeAllLimit: `
	LIMIT ? FOR UPDATE
),
clock AS MATERIALIZED (SELECT clock_timestamp() AS now FROM (SELECT count(*) FROM matching) AS locked)
UPDATE gatehouse_apikeys SET revoked = (SELECT now FROM clock)
WHERE id IN (SELECT id FROM matching)
RETURNING` + recordColumns + `(SELECT now FROM clock)`,
}

// lockedPostgres locks the record $1, then reads the clock.
const lockedPostgres = `
WITH locked AS MATERIALIZED (SELECT id FROM gatehouse_apikeys WHERE id = $1 FOR UPDATE),
clock AS MATERIALIZED (SELECT clock_timestamp() AS now FROM locked)`

// nowSQLite is the clock of SQLite, which is constant within a statement and has a
// resolution of one millisecond. A statement that writes locks the file before it
// reads the clock.
const nowSQLite = `(CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000)`

// apikeySQLite are the statements for SQLite.
var apikeySQLite = apikeySQL{
	create: `
INSERT INTO gatehouse_apikeys (id, owner, tenant, environment, scopes, networks, metadata, lifetime,
	created, rotated, expires, generation, uses, current_sum, current_pepper)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ` + nowSQLite + `, ` + nowSQLite + `, ` + nowSQLite + ` + ?8, 1, 0, ?9, ?10)
RETURNING` + recordColumns + `created`,

	find: `SELECT` + recordColumns + nowSQLite + ` FROM gatehouse_apikeys WHERE id = ?1`,

	rotate: `
UPDATE gatehouse_apikeys SET
	previous_sum = current_sum,
	previous_pepper = current_pepper,
	grace_ends = min(expires, ` + nowSQLite + ` + ?4),
	current_sum = ?2,
	current_pepper = ?3,
	rotated = ` + nowSQLite + `,
	expires = ` + nowSQLite + ` + min(lifetime, ?5),
	generation = generation + 1
WHERE id = ?1 AND revoked IS NULL AND expires > ` + nowSQLite + ` AND ?6 IN (0, generation)
RETURNING` + recordColumns + nowSQLite,

	revoke: `
UPDATE gatehouse_apikeys SET revoked = coalesce(revoked, ` + nowSQLite + `)
WHERE id = ?1
RETURNING` + recordColumns + nowSQLite,

	suspend: `
UPDATE gatehouse_apikeys SET suspended = coalesce(suspended, ` + nowSQLite + `)
WHERE id = ?1
RETURNING` + recordColumns + nowSQLite,

	resume: `
UPDATE gatehouse_apikeys SET suspended = NULL
WHERE id = ?1
RETURNING` + recordColumns + nowSQLite,

	touch: `
UPDATE gatehouse_apikeys SET last_used = ` + nowSQLite + `, uses = uses + ?2
WHERE id = ?1 AND (last_used IS NULL OR last_used <= ` + nowSQLite + ` - ?3)
RETURNING id`,

	remove: `DELETE FROM gatehouse_apikeys WHERE id = ?1 AND (revoked IS NOT NULL OR expires <= ` + nowSQLite + `) RETURNING id`,

	// The scalar function max is NULL if one argument is.
	importRecord: importSQL("?%d", "?%d", "nullif(max(coalesce(%s, 0), coalesce(%s, 0)), 0)", nowSQLite),

	list:         `SELECT` + recordColumns + nowSQLite + ` FROM gatehouse_apikeys WHERE true`,
	due:          ` AND revoked IS NULL AND expires > ` + nowSQLite + ` AND expires <= ` + nowSQLite + ` + ?`,
	afterCreated: ` AND (created, id) > (?, ?)`,
	afterExpires: ` AND (expires, id) > (?, ?)`,

	revokeAll: `
UPDATE gatehouse_apikeys SET revoked = ` + nowSQLite + `
WHERE id IN (
	SELECT id FROM gatehouse_apikeys WHERE revoked IS NULL`,
	revokeAllLimit: `
	LIMIT ?
)
RETURNING` + recordColumns + nowSQLite,
}
