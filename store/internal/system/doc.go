// SPDX-License-Identifier: Apache-2.0

// Package system has the tests that need whole systems: real engines, several
// processes with a gate each, and crashes of either. It has no code of its own.
//
// The tests are slow and run with GATEHOUSE_SLOW=1.
package system
