// SPDX-License-Identifier: Apache-2.0

// Package failing has a test that fails before anything is changed.
package failing

func zero() int { return 0 }
