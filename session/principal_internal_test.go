// SPDX-License-Identifier: Apache-2.0

package session

import (
	"strconv"
	"testing"
	"time"
)

func TestPrincipalCacheIsBounded(t *testing.T) {
	var cache principals
	for n := range maxCached + 10 {
		r := &Record{Session: Session{ID: strconv.Itoa(n), Subject: "user-" + strconv.Itoa(n), Expires: time.Unix(int64(n), 0)}, Principal: `{"principal":{}}`, Version: 1}
		p, err := cache.principal(r)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := cache.principal(r); err != nil || again != p || p.Subject != r.Subject {
			t.Fatalf("principal of record %d is decoded twice or of %s, error %v", n, p.Subject, err)
		}
	}
	// A record of a store that counts from 0 is no record of the cache.
	if p, err := cache.principal(&Record{Session: Session{ID: "new"}, Principal: `{"principal":{}}`}); err != nil || p == nil {
		t.Errorf("principal of version 0 = %v, %v, want one", p, err)
	}
	if got := cache.known.Len(); got != maxCached {
		t.Errorf("%d principals are cached, want %d", got, maxCached)
	}
}
