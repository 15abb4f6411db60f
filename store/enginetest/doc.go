// SPDX-License-Identifier: Apache-2.0

// Package enginetest starts real database servers for tests, and breaks them.
//
// It is for tests only. [StartPostgres] and [StartRedis] run the binaries that
// are installed on this machine, on a free port of the loopback interface,
// behind a random password, with their data in a directory of their own, and
// end them with the test. When the test runs as root they run as an
// unprivileged account. Both are durable unless a setting says otherwise: what
// they have acknowledged survives Kill, which is SIGKILL to every process of
// the server, and Start on the same data.
//
// [StartProxy] puts a TCP relay in front of a server, which can be cut or
// frozen while the server stays up.
//
// A machine without an engine skips the test with one line that says what to
// install. With GATEHOUSE_REQUIRE_ENGINES=1 in the environment that is a
// failure instead, so that a build server cannot pass by not looking.
package enginetest
