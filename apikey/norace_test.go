// SPDX-License-Identifier: Apache-2.0

//go:build !race

package apikey_test

const raceDetector = false
