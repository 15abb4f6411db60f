// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// oracle holds the first answer of each group of attempts whose answers must be
// equal.
type oracle map[string]reference

// reference is the answer to an attempt, and what differs in the answers to two
// requests that are equal: it tells clients nothing.
type reference struct {
	name   string
	answer *recording
	noise  map[string]bool // names of headers, and "" for the body
}

func (o oracle) compare(a Attempt, answer *recording, handler http.Handler) []Finding {
	if a.alike == "" || answer.Code == http.StatusServiceUnavailable {
		return nil
	}
	first, ok := o[a.alike]
	if !ok {
		again, _ := a.send(handler)
		// The date is the same in two answers of one second.
		noise := map[string]bool{"Date": true}
		for name := range differences(answer, again) {
			noise[name] = true
		}
		o[a.alike] = reference{a.Name, answer, noise}
		return nil
	}
	found := differences(answer, first.answer)
	for name := range first.noise {
		delete(found, name)
	}
	if len(found) == 0 {
		return nil
	}
	var details []string
	for _, name := range slices.Sorted(maps.Keys(found)) {
		details = append(details, found[name])
	}
	return []Finding{{a.Name, Oracle, "another answer than for " + first.name + ": " + strings.Join(details, ", ")}}
}

const status = "status" // in lower case, unlike the names of headers

// differences describes how two answers differ, by the names of headers, "" for the
// body and status.
func differences(got, want *recording) map[string]string {
	found := make(map[string]string)
	add := func(name, what string, got, want any) {
		if a, b := fmt.Sprint(got), fmt.Sprint(want); a != b {
			found[name] = fmt.Sprintf("%s %.60q, not %.60q", what, a, b)
		}
	}
	add(status, "status", got.Code, want.Code)
	add("", "body", got.Body, want.Body)
	names := maps.Clone(got.Header())
	maps.Copy(names, want.Header())
	for name := range names {
		add(name, name, strings.Join(got.Header()[name], ", "), strings.Join(want.Header()[name], ", "))
	}
	return found
}
