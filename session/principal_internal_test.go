// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strconv"
	"testing"
)

// However many sessions there are, what is remembered of them is bounded, and
// what was used last is remembered.
func TestPrincipalsAreBounded(t *testing.T) {
	var k principals
	record := func(n int) *Record {
		return &Record{Session: Session{ID: strconv.Itoa(n), Subject: "s"}, Principal: `{"claims":{}}`, Version: 1}
	}
	for n := range 3*maxKnown + 1 {
		p, err := k.of(record(n))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := k.of(record(n)); err != nil || again != p {
			t.Fatal("not remembered")
		}
		if len(k.young)+len(k.old) > 2*maxKnown {
			t.Fatalf("%d are remembered", len(k.young)+len(k.old))
		}
	}
}
