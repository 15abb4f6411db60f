// SPDX-License-Identifier: Apache-2.0

//go:build !race

package gatehouse_test

const raceDetector = false
