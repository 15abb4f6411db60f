// SPDX-License-Identifier: Apache-2.0

// Package browser drives a real Chromium, through playwright-core, from Go
// tests: what browsers do with cookies, forms and pages of other sites cannot be
// imitated.
package browser
