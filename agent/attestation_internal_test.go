// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"testing"
	"time"
)

// The clock of the server that has made a nonce may be ten seconds ahead.
func TestNonceOfTheFuture(t *testing.T) {
	n, err := newNonces(nil)
	if err != nil {
		t.Fatal(err)
	}
	made := time.Unix(1_800_000_000, 0)
	nonce := n.issue("a", made)
	for ahead, want := range map[time.Duration]time.Duration{0: nonceLife, nonceAhead: nonceLife + nonceAhead, nonceAhead + 1: 0} {
		if got := n.check("a", nonce, made.Add(-ahead)); got != want {
			t.Errorf("check of a nonce that is %v ahead = %v, want %v", ahead, got, want)
		}
	}
}
