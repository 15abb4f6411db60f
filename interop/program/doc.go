// SPDX-License-Identifier: Apache-2.0

// Package program builds and runs the example apps.
package program
