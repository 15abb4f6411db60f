// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

// maxLimiters bounds what perKey remembers.
const maxLimiters = 10_000

// perKey is a policy: each key may make so many requests a second in the long
// run, and burst of them at once. A key that is rotated stays the same key. It
// counts in this process alone: with n servers a key can make n times as many.
func perKey(limit rate.Limit, burst int) gatehouse.Policy {
	var mu sync.Mutex
	limiters := make(map[string]*rate.Limiter)
	return func(_ *http.Request, p gatehouse.Principal) error {
		mu.Lock()
		defer mu.Unlock()
		limiter := limiters[p.Credential]
		if limiter == nil {
			if len(limiters) >= maxLimiters {
				for id, idle := range limiters {
					if idle.Tokens() >= float64(burst) {
						delete(limiters, id) // it would be made anew just like this
					}
				}
			}
			if len(limiters) >= maxLimiters {
				return &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: gatehouse.ReasonPolicy}
			}
			limiter = rate.NewLimiter(limit, burst)
			limiters[p.Credential] = limiter
		}
		reservation := limiter.Reserve()
		wait := reservation.Delay()
		if wait == 0 {
			return nil
		}
		reservation.Cancel() // a refusal uses nothing up
		return &gatehouse.Error{Code: gatehouse.CodeBudgetExceeded, Reason: gatehouse.ReasonPolicy, RetryAfter: wait}
	}
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
	handler := gate.Handler(gatehouse.Require(perKey(rate.Every(time.Minute), 2))(reports))

	for range 2 {
		issued, err := keys.Create(context.Background(), apikey.Request{Owner: "nightly-job", Lifetime: time.Hour})
		if err != nil {
			log.Fatal(err)
		}
		for range 3 {
			r := httptest.NewRequest("GET", "/reports", nil)
			r.Header.Set("X-API-Key", string(issued.Secret.Reveal()))
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
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
