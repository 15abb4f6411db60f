// SPDX-License-Identifier: Apache-2.0

//go:build race

// Package racetest says whether the race detector is on. Tests that count
// allocations are skipped then, because the detector allocates too.
package racetest

// Enabled reports whether the race detector is on.
const Enabled = true
