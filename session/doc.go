// SPDX-License-Identifier: Apache-2.0

// Package session keeps people signed in whose browser holds nothing but the
// name of a session: who they are and their tokens stay on the server.
package session
