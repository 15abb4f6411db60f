// SPDX-License-Identifier: Apache-2.0

//go:build race

package apikey_test

// raceDetector is true where allocations cannot be counted: the race detector
// makes some of its own.
const raceDetector = true
