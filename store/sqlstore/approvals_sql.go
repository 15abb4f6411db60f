// SPDX-License-Identifier: Apache-2.0

package sqlstore

// approvalSQL has the statements of one engine. The parts of list are joined with
// conditions between them, and a question mark in them stands for a value; the others
// are whole statements with numbered placeholders.
type approvalSQL struct {
	request, current, find, decide, claim string

	list, listOwn, listRole string
}

// approvalColumns are the columns that scanApproval reads, except for the time.
const (
	approvalBefore  = ` id, tenant, subject, actor, tool, version, `
	approvalAfter   = `, consent, roles, needed, created, expires, used, decisions, `
	approvalColumns = approvalBefore + `arguments` + approvalAfter
)

// approvalList, approvalListed and approvalListEnd are around the conditions of a list. The
// actors take turns, and only the arguments of the result are read.
const (
	approvalList   = `SELECT` + approvalBefore + `CASE WHEN octet_length(arguments) <= ? THEN arguments ELSE '' END` + approvalAfter
	approvalListed = ` FROM gatehouse_approvals JOIN (
SELECT id, row_number() OVER (ORDER BY turn, created DESC, id) AS place FROM (
SELECT id, created, row_number() OVER (PARTITION BY actor ORDER BY created DESC, id) AS turn FROM gatehouse_approvals`
	approvalListEnd = `))) AS matching ORDER BY place LIMIT ?) AS listed USING (id) ORDER BY place`
)

const approvalInsert = `
INSERT INTO gatehouse_approvals AS old (id, tenant, digest, subject, actor, tool, version, arguments, consent, roles, needed,
	created, expires, state, approved, decisions)`

// approvalReplace takes the place of an approval that has expired without being used
// or denied.
const approvalReplace = `
ON CONFLICT (digest) WHERE state IN ('pending', 'approved') DO UPDATE SET
	id = excluded.id, tenant = excluded.tenant, subject = excluded.subject, actor = excluded.actor, tool = excluded.tool,
	version = excluded.version, arguments = excluded.arguments, consent = excluded.consent, roles = excluded.roles, needed = excluded.needed,
	created = excluded.created, expires = excluded.expires, used = NULL, state = 'pending', approved = 0, decisions = ''
WHERE old.expires <= excluded.created
RETURNING` + approvalColumns + `created`

var approvalPostgres = approvalSQL{
	request: clockPostgres + approvalInsert + `
SELECT $1, $2, $3::bytea, $4, $5, $6, $7, $8, $9, $10, $11, now, now + $12::bigint * interval '1 microsecond', 'pending', 0, ''
FROM clock
WHERE ($13::boolean OR NOT EXISTS (SELECT FROM gatehouse_approvals WHERE digest = $3::bytea AND state = 'denied' AND expires > now))
	AND (SELECT count(*) < $14::bigint AND coalesce(sum(octet_length(arguments)), 0) + octet_length($8) <= $15::bigint
		FROM gatehouse_approvals WHERE tenant = $2 AND actor = $5 AND state = 'pending' AND expires > now)` +
		approvalReplace,

	// The last one is an open one, if there is one.
	current: clockPostgres + `
SELECT` + approvalColumns + `(SELECT now FROM clock) FROM gatehouse_approvals
WHERE digest = $1 AND tenant = $2 AND (state IN ('pending', 'approved') OR state = 'denied' AND NOT $3::boolean)
	AND expires > (SELECT now FROM clock)
ORDER BY state = 'denied', created DESC LIMIT 1`,

	// The row is read before the clock, so that no time in it is later.
	find: `SELECT` + approvalColumns + `clock_timestamp() FROM gatehouse_approvals WHERE id = $1 AND tenant = $2`,

	// The clock is read when the row is locked: see apikeyPostgres.
	decide: `
WITH locked AS MATERIALIZED (SELECT id FROM gatehouse_approvals WHERE id = $1 AND tenant = $2 FOR UPDATE),
clock AS MATERIALIZED (SELECT clock_timestamp() AS now FROM locked)
UPDATE gatehouse_approvals SET
	decisions = decisions || $3 || ' ' || $4 || ' ' || (extract(epoch FROM (SELECT now FROM clock)) * 1000000)::bigint || E'\n',
	approved = approved + $5::bigint,
	state = CASE WHEN $5::bigint = 0 THEN 'denied' WHEN approved + 1 >= needed THEN 'approved' ELSE 'pending' END
WHERE id = $1 AND tenant = $2 AND state = 'pending' AND expires > (SELECT now FROM clock)
	AND position(E'\n' || $3 || ' ' IN E'\n' || decisions) = 0
RETURNING` + approvalColumns + `(SELECT now FROM clock)`,

	claim: `
WITH locked AS MATERIALIZED (SELECT id FROM gatehouse_approvals WHERE digest = $1 AND tenant = $2 AND state = 'approved' FOR UPDATE),
clock AS MATERIALIZED (SELECT clock_timestamp() AS now FROM locked)
UPDATE gatehouse_approvals SET state = 'used', used = (SELECT now FROM clock)
WHERE id IN (SELECT id FROM locked) AND state = 'approved' AND expires > (SELECT now FROM clock)
RETURNING` + approvalColumns + `(SELECT now FROM clock)`,

	list: clockPostgres + approvalList + `(SELECT now FROM clock)` + approvalListed + `
WHERE tenant = ? AND state = 'pending' AND expires > (SELECT now FROM clock)
	AND position(E'\n' || ? || ' ' IN E'\n' || decisions) = 0`,
	listOwn: `
	AND (consent AND subject = ? OR NOT consent AND subject <> ? AND actor <> ? AND (false`,
	listRole: ` OR position(E'\n' || ? || E'\n' IN roles) > 0`,
}

var approvalSQLite = approvalSQL{
	request: approvalInsert + `
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ` + nowSQLite + `, ` + nowSQLite + ` + ?12, 'pending', 0, ''
WHERE (?13 OR NOT EXISTS (SELECT 1 FROM gatehouse_approvals WHERE digest = ?3 AND state = 'denied' AND expires > ` + nowSQLite + `))
	AND (SELECT count(*) < ?14 AND coalesce(sum(octet_length(arguments)), 0) + octet_length(?8) <= ?15
		FROM gatehouse_approvals WHERE tenant = ?2 AND actor = ?5 AND state = 'pending' AND expires > ` + nowSQLite + `)` +
		approvalReplace,

	current: `
SELECT` + approvalColumns + nowSQLite + ` FROM gatehouse_approvals
WHERE digest = ?1 AND tenant = ?2 AND (state IN ('pending', 'approved') OR state = 'denied' AND NOT ?3) AND expires > ` + nowSQLite + `
ORDER BY state = 'denied', created DESC LIMIT 1`,

	find: `SELECT` + approvalColumns + nowSQLite + ` FROM gatehouse_approvals WHERE id = ?1 AND tenant = ?2`,

	decide: `
UPDATE gatehouse_approvals SET
	decisions = decisions || ?3 || ' ' || ?4 || ' ' || ` + nowSQLite + ` || char(10),
	approved = approved + ?5,
	state = CASE WHEN ?5 = 0 THEN 'denied' WHEN approved + 1 >= needed THEN 'approved' ELSE 'pending' END
WHERE id = ?1 AND tenant = ?2 AND state = 'pending' AND expires > ` + nowSQLite + `
	AND instr(char(10) || decisions, char(10) || ?3 || ' ') = 0
RETURNING` + approvalColumns + nowSQLite,

	claim: `
UPDATE gatehouse_approvals SET state = 'used', used = ` + nowSQLite + `
WHERE digest = ?1 AND tenant = ?2 AND state = 'approved' AND expires > ` + nowSQLite + `
RETURNING` + approvalColumns + nowSQLite,

	list: approvalList + nowSQLite + approvalListed + `
WHERE tenant = ? AND state = 'pending' AND expires > ` + nowSQLite + ` AND instr(char(10) || decisions, char(10) || ? || ' ') = 0`,
	listOwn: `
	AND (consent AND subject = ? OR NOT consent AND subject <> ? AND actor <> ? AND (false`,
	listRole: ` OR instr(roles, char(10) || ? || char(10)) > 0`,
}
