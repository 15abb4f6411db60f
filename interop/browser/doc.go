// SPDX-License-Identifier: Apache-2.0

// Package browser drives Chromium from Go tests, through playwright-core.
package browser
