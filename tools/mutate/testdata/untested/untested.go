// SPDX-License-Identifier: Apache-2.0

// Package untested has no tests.
package untested
