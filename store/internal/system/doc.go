// SPDX-License-Identifier: Apache-2.0

// Package system holds tests that need whole systems: real engines, several
// real processes with a gate each, and what happens when some of them die. It
// has no code of its own.
package system
