// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/upstream"
	"github.com/gatehouse-go/gatehouse/cookie"
)

// account calls the management API of a provider. This one only counts.
type account struct{ created, revoked int }

func (a *account) Create(_ context.Context, id string) (gatehouse.Secret, error) {
	a.created++ // POST /keys {"name": id}
	return gatehouse.NewSecret([]byte("sk-" + id)), nil
}

func (*account) Probe(context.Context, gatehouse.Secret) error {
	return nil // GET /models; upstream.ErrRejected if the answer is 401
}

func (a *account) Revoke(context.Context, string) error {
	a.revoked++ // DELETE each key with that name
	return nil
}

// Rotate the credential of a provider without a failing call.
func Example_rotator() {
	// In an application: gatehouse.LoadSecret, and the store of module store.
	keys, err := cookie.NewKeyring(gatehouse.NewSecret([]byte(strings.Repeat("k", 32))))
	if err != nil {
		panic(err)
	}
	provider := &account{}
	rotator, err := upstream.NewRotator(upstream.RotatorConfig{
		Name: "main", Provider: provider, Store: &upstream.Memory{}, Keys: keys, Every: 7 * 24 * time.Hour,
	})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- rotator.Run(ctx) }() // on each node

	transport, err := upstream.New(upstream.Config{
		Name: "main", Origin: "https://api.example.com", Source: rotator,
	})
	if err != nil {
		panic(err)
	}
	_ = transport // in an http.Client or a reverse proxy

	if err := rotator.Rotate(ctx); err != nil { // besides the rotation every week
		panic(err)
	}
	if err := rotator.Decommission(ctx); err != nil { // when the account is given up
		panic(err)
	}
	stop()
	fmt.Println(<-done, provider.created == provider.revoked)
	// Output: context canceled true
}
