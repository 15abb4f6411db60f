// SPDX-License-Identifier: Apache-2.0

// Package tenant separates the tenants of one application: in requests, in the names of
// stored records, and in PostgreSQL.
//
// A request names a tenant in its path, its host name or a header; the credential proves
// the tenant of the caller. [FromPath], [FromHost] and [FromHeader] are policies that
// allow a request only if both are equal, character by character. They deny, with 403 and
// access_denied, requests that name no tenant, several tenants or another tenant, and
// every caller without a tenant. [Required] allows every caller with a tenant.
//
// In a handler, [Of] returns the [Namespace] of the caller's tenant. It builds all keys
// of records, caches and locks, and the names of objects and vector indexes. A background
// job has no caller: it sets its tenant with [Job]; without a tenant the error is
// [ErrNone]. [Separated] and [SeparatedBlobs] wrap stores that all tenants share. [Check]
// refuses and reports an access to the data of another tenant.
//
// In PostgreSQL, [Protect] separates the rows of a table for a migration, [Tx] runs
// queries that see only the rows of the caller's tenant, and [CheckRows] finds the tables
// and views through which a program could see the others. Row-level security does not
// protect against SQL injection, because injected SQL can set another tenant.
package tenant
