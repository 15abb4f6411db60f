// SPDX-License-Identifier: Apache-2.0

package approval_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
)

const (
	people = "https://id.example.com"
	server = "https://tools.example.com"
)

// events is an observer that keeps events, and fails while fail is set.
type events struct {
	mu   sync.Mutex
	all  []gatehouse.Event
	fail error
}

func (e *events) Observe(_ context.Context, event gatehouse.Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
	return e.fail
}

// last returns the last event, and an attribute of it.
func (e *events) last(attr string) (gatehouse.Event, string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.all) == 0 {
		return gatehouse.Event{}, ""
	}
	event := e.all[len(e.all)-1]
	for _, a := range event.Attrs {
		if a.Key == attr {
			return event, a.Value.String()
		}
	}
	return event, ""
}

func newApprovals(t *testing.T, change func(c *approval.Config)) *approval.Approvals {
	t.Helper()
	config := approval.Config{Store: wrapping{approval.NewMemory(0)}, URL: server + "/approvals"}
	if change != nil {
		change(&config)
	}
	a, err := approval.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wrapping is a store whose errors have others as their cause.
type wrapping struct{ approval.Store }

func wrap(err error) error {
	if err != nil {
		err = fmt.Errorf("store: %w", err)
	}
	return err
}

func (w wrapping) Request(ctx context.Context, a approval.Approval, limits approval.Limits, again bool) (approval.Approval, bool, error) {
	a, added, err := w.Store.Request(ctx, a, limits, again)
	return a, added, wrap(err)
}

func (w wrapping) Find(ctx context.Context, tenant, id string) (approval.Approval, error) {
	a, err := w.Store.Find(ctx, tenant, id)
	return a, wrap(err)
}

func (w wrapping) Claim(ctx context.Context, tenant string, digest approval.Digest) (approval.Approval, error) {
	a, err := w.Store.Claim(ctx, tenant, digest)
	return a, wrap(err)
}

func roles(t testing.TB, names ...string) gatehouse.Roles {
	t.Helper()
	r, err := gatehouse.NewRoles(names...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// person returns a user of the tenant acme who acts in person.
func person(t testing.TB, name string, names ...string) gatehouse.Principal {
	t.Helper()
	return gatehouse.Principal{
		Kind: gatehouse.KindUser, Issuer: people, Subject: name, Tenant: "acme", Roles: roles(t, names...), Method: "session",
	}
}

func agent() gatehouse.Principal {
	return gatehouse.Principal{Kind: gatehouse.KindAgent, Issuer: server, Subject: "helper-1", Tenant: "acme", Method: "jwt"}
}

// pay is a call of an agent for itself.
func pay(arguments string) approval.Call {
	return approval.Call{Tenant: "acme", Subject: agent().Key(), Actor: agent().Key(), Tool: "pay", Version: "1", Arguments: arguments}
}

// profile is a call of an agent for alice.
func profile() approval.Call {
	return approval.Call{
		Tenant: "acme", Subject: gatehouse.Key{Issuer: people, Subject: "alice"}, Actor: agent().Key(), Tool: "update_profile", Arguments: `{"display_name":"A"}`,
	}
}

func request(t testing.TB, a *approval.Approvals, c approval.Call, r approval.Rule) approval.Approval {
	t.Helper()
	asked, err := a.Request(t.Context(), c, r)
	if err != nil {
		t.Fatal(err)
	}
	return asked
}

// codeOf returns the code of an error, "" for nil.
func codeOf(err error) string {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e.Code.String()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// failing is a store that is down.
type failing struct{}

var errDown = errors.New("down")

func (failing) Request(context.Context, approval.Approval, approval.Limits, bool) (approval.Approval, bool, error) {
	return approval.Approval{}, false, errDown
}

func (failing) Find(context.Context, string, string) (approval.Approval, error) {
	return approval.Approval{}, errDown
}

func (failing) Decide(context.Context, string, string, approval.Decision) (approval.Approval, bool, error) {
	return approval.Approval{}, false, errDown
}

func (failing) Claim(context.Context, string, approval.Digest) (approval.Approval, error) {
	return approval.Approval{}, errDown
}

// wrong is a store that answers Claim and Request with an approval that was not asked for.
type wrong struct {
	failing
	claimed approval.Approval
}

func (w wrong) Request(context.Context, approval.Approval, approval.Limits, bool) (approval.Approval, bool, error) {
	return w.claimed, false, nil
}

func (w wrong) Claim(context.Context, string, approval.Digest) (approval.Approval, error) {
	return w.claimed, nil
}

func (failing) List(context.Context, approval.Filter, int, int) ([]approval.Approval, error) {
	return nil, errDown
}
