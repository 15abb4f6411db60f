// SPDX-License-Identifier: Apache-2.0

// Package tenant keeps the customers of one application apart.
//
// A request says in its path, in its host name or in a header which tenant it is
// about; the credential says to which tenant the caller belongs. [FromPath],
// [FromHost] and [FromHeader] are policies for [gatehouse.Require] that allow a
// request only where both are the same, character by character.
//
// Refused with 403 and access_denied is a request that names no tenant or names
// it more than once, one that names another tenant, and every caller without a
// tenant: belonging to none is not belonging to all.
//
// The application still has to ask its database for the rows of that tenant
// only. The tenant to use there is that of the [gatehouse.Principal]: after
// these policies it is the one in the request, and unlike that it is proved.
package tenant
