// SPDX-License-Identifier: Apache-2.0

// Package node runs the npm peers of the interoperability tests: small scripts
// beside the Go packages that drive them.
//
// [Start] runs a script and talks to it line by line: one JSON value is written
// to its standard input, one comes back on its standard output. A script ends
// when its standard input does, so that none outlives the test process, however
// that one dies.
//
// A machine without Node, or without the packages of the lockfile, skips the
// test with one line that says what to install. With the environment variable
// GATEHOUSE_REQUIRE_ENGINES=1 it fails instead.
package node
