// SPDX-License-Identifier: Apache-2.0

// Package prompt decides by the category of a prompt whether a caller may send it.
//
// A classifier of the application assigns categories to a request, such as "code" or
// "legal". A [Rule] says which scopes and roles the caller needs for a category. A
// [Filter] is a [gatehouse.Policy]: use it with [gatehouse.Require] behind the
// middleware of package agent/model, which reads the prompt.
//
// The filter fails closed: a request without a category, with a category that has no
// rule, or whose classifier returns an error, panics or exceeds its deadline is denied
// with 403.
//
// # A filter on top of scopes
//
// A classifier can be wrong: the author of a prompt can phrase it so that the classifier
// returns another category. Use scopes, model tiers and budgets to limit what a caller
// may do and spend, and the filter only to deny more.
package prompt
