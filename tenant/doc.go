// SPDX-License-Identifier: Apache-2.0

// Package tenant provides policies that separate the tenants of one
// application.
//
// A request names a tenant in its path, its host name or a header; the credential
// proves the tenant of the caller. [FromPath], [FromHost] and [FromHeader] are
// policies that allow a request only if both are the same, character by
// character.
//
// They deny with 403 and access_denied: requests that name no tenant, several
// tenants or another tenant, and every caller without a tenant.
//
// The application must limit its database queries to that tenant. Use
// [gatehouse.Principal].Tenant for this: it comes from the verified credential,
// and these policies ensure that it equals the tenant in the request.
package tenant
