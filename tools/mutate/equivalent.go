// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
)

// readEquivalent reads the list of mutants that no caller can distinguish from
// the original: one a line, named as the report names it, then " ## " and the
// reason. Lines that start with # are comments.
func readEquivalent(name string) (map[string]string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	reasons := make(map[string]string)
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, reason, ok := strings.Cut(line, " ## ")
		id, reason = strings.TrimSpace(id), strings.TrimSpace(reason)
		if !ok || id == "" || reason == "" {
			return nil, fmt.Errorf("%s:%d: not of the form MUTANT ## REASON", name, number)
		}
		if reasons[id] != "" {
			return nil, fmt.Errorf("%s:%d: listed twice: %s", name, number, id)
		}
		reasons[id] = reason
	}
	return reasons, nil
}
