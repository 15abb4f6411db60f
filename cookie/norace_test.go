// SPDX-License-Identifier: Apache-2.0

//go:build !race

package cookie_test

const raceDetector = false
