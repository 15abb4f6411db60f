// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"context"
	"fmt"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

// maxBuckets bounds the memory of perKey.
const maxBuckets = 10_000

// codeRateLimited is the code of a request above the limit of its key.
var codeRateLimited = gatehouse.NewCode(429, "rate_limited", "The API key has made too many requests.")

// perKey returns a policy that allows each API key burst requests at once and one
// more per interval: a token bucket per key. A rotated key keeps its bucket. The
// limit is per process: with n servers a key can make n times as many requests.
func perKey(interval time.Duration, burst int) gatehouse.Policy {
	var mu sync.Mutex
	full := make(map[string]time.Time) // when the bucket of a key is full again
	return gatehouse.PolicyFunc(func(_ *http.Request, p gatehouse.Principal) error {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if _, known := full[p.Credential]; !known && len(full) >= maxBuckets {
			maps.DeleteFunc(full, func(_ string, at time.Time) bool { return !at.After(now) })
			if len(full) >= maxBuckets {
				return &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: gatehouse.ReasonPolicyFailed}
			}
		}
		next := full[p.Credential]
		if next.Before(now) {
			next = now
		}
		next = next.Add(interval)
		if wait := next.Sub(now) - time.Duration(burst)*interval; wait > 0 {
			return &gatehouse.Error{Code: codeRateLimited, Reason: gatehouse.ReasonPolicyRefused, RetryAfter: wait}
		}
		full[p.Credential] = next // a denied request takes no token
		return nil
	})
}

// A limit for each key is a policy.
func ExampleKeys_limit() {
	keys, err := apikey.New(apikey.Config{Store: apikey.NewMemory(0), Prefix: "acme"})
	if err != nil {
		log.Fatal(err)
	}
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{keys}, Realm: "acme"})
	if err != nil {
		log.Fatal(err)
	}
	reports := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux := gate.Mux()
	mux.Handle("GET /reports", reports, perKey(time.Minute, 2))

	for range 2 {
		issued, err := keys.Create(context.Background(), apikey.Request{Owner: "nightly-job", Lifetime: time.Hour})
		if err != nil {
			log.Fatal(err)
		}
		for range 3 {
			r := httptest.NewRequest("GET", "/reports", nil)
			r.Header.Set("X-API-Key", string(issued.Secret.Reveal()))
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			fmt.Println(w.Code, w.Header()["Retry-After"])
		}
	}
	// Output:
	// 200 []
	// 200 []
	// 429 [60]
	// 200 []
	// 200 []
	// 429 [60]
}
