// SPDX-License-Identifier: Apache-2.0

// Package budget keeps the cost of calls within budgets, for any number of processes.
package budget
