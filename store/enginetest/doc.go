// SPDX-License-Identifier: Apache-2.0

// Package enginetest starts real database servers for tests, and breaks them.
//
// It is for tests only. [StartPostgres] and [StartRedis] run the installed
// binaries on a free port of the loopback interface, behind a random password,
// with their data in a temporary directory, and stop them when the test ends.
// [SharedPostgres] starts one server for all tests of a package. When the test
// runs as root, the servers run as an unprivileged account. Both servers are
// durable unless a setting says otherwise: acknowledged changes survive Kill
// (SIGKILL to every process of the server) followed by Start.
//
// [StartProxy] puts a TCP relay in front of a server. The relay can drop or
// freeze connections while the server stays up.
//
// Two environment variables control what runs:
//
//   - GATEHOUSE_REQUIRE_ENGINES=1 makes a missing engine a failure. Without it,
//     [Missing] skips the test with one line that says what to install.
//   - GATEHOUSE_SLOW=1 runs the slow tests. Without it, [Slow] skips them with
//     one line.
package enginetest
