// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package main

import "time"

// cpuTime is not known here: with the flag -cpu nothing is measured.
func cpuTime() time.Duration { return 0 }
