// SPDX-License-Identifier: Apache-2.0

// Package webtest has what tests of web applications need beside the
// application: an authorization server at which everybody is signed in already,
// and a browser that keeps cookies and says where its requests come from. The
// tests in interop do the same with real ones.
package webtest
