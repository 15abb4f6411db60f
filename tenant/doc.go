// SPDX-License-Identifier: Apache-2.0

// Package tenant has policies that separate the tenants of one application.
//
// A request names a tenant in its path, its host name or a header; the credential
// proves the tenant of the caller. [FromPath], [FromHost] and [FromHeader] are
// policies that allow a request only if both are the same, character by
// character.
//
// They deny with 403 and access_denied: requests that name no tenant, several
// tenants or another tenant, and every caller without a tenant.
//
// The application still has to limit its database queries to that tenant. Use
// [gatehouse.Principal].Tenant for that: after these policies it equals the
// tenant in the request, and unlike that one it is proved.
package tenant
