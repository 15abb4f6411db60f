// SPDX-License-Identifier: Apache-2.0

// Package node runs the npm peers of the interoperability tests: small scripts
// beside the Go packages that drive them.
//
// [Start] runs a script and exchanges one JSON value per line with it. A script
// ends with its standard input, so that none outlives the test process, however
// that ends.
//
// Without Node or the packages of the lockfile the test skips with one line that
// says what to install; with GATEHOUSE_REQUIRE_ENGINES=1 it fails.
package node
