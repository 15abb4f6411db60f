// SPDX-License-Identifier: Apache-2.0

package enginetest_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// An example of a test: an acknowledged change survives a crash of the server.
func TestCounterSurvivesCrash(t *testing.T) {
	server := enginetest.StartRedis(t)
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	if err := client.Incr(t.Context(), "counter").Err(); err != nil {
		t.Fatal(err)
	}
	server.Kill(t)
	server.Start(t)
	enginetest.Eventually(t, time.Minute, "the counter is there", func() bool {
		n, err := client.Get(t.Context(), "counter").Int()
		return err == nil && n == 1
	})
}
