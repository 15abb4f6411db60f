// SPDX-License-Identifier: Apache-2.0

// Package rpc contains the common parts of the adapters for gRPC and Connect: a table of
// methods with their policies, and refusals as status codes. Both use the same numbers.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// Methods are the methods of a server with their policies, by full name. They are safe
// for concurrent use.
type Methods struct {
	mux   *gatehouse.Mux
	names map[string]bool
}

// New returns the methods of a configuration of the package pkg, or all its errors.
func New(pkg string, gate *gatehouse.Gate, protected map[string][]gatehouse.Policy, public []string) (*Methods, error) {
	if gate == nil {
		return nil, errors.New(pkg + ": Config.Gate: required")
	}
	m := &Methods{gate.Mux(), make(map[string]bool)}
	var errs []error
	fail := func(field, name, problem string) {
		errs = append(errs, fmt.Errorf("%s: Config.%s: %q: %s", pkg, field, name, problem))
	}
	for _, name := range slices.Sorted(maps.Keys(protected)) {
		policies := protected[name]
		switch {
		case !isFullName(name):
			fail("Methods", name, `must be a full name, such as "/acme.Reports/List"`)
		case len(policies) == 0:
			fail("Methods", name, "has no policy: use gatehouse.Authenticated, or list it in Public")
		case slices.ContainsFunc(policies, func(p gatehouse.Policy) bool { return typednil.Is(p) }):
			fail("Methods", name, "has a nil policy")
		default:
			m.names[name] = true
			m.mux.HandleFunc(name, serveCall, policies[0], policies[1:]...)
		}
	}
	for _, name := range public {
		switch {
		case !isFullName(name):
			fail("Public", name, `must be a full name, such as "/grpc.health.v1.Health/Check"`)
		case m.names[name]:
			fail("Public", name, "occurs twice, or has policies in Methods")
		default:
			m.names[name] = true
			m.mux.PublicFunc(name, serveCall)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return m, nil
}

// isFullName reports whether name is "/package.Service/Method".
func isFullName(name string) bool {
	service, method, ok := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	identifier := func(s, more string) bool {
		const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
		return s != "" && strings.Trim(s, letters+more) == "" && strings.Trim(s, ".") == s && !strings.Contains(s, "..")
	}
	return ok && name[0] == '/' && identifier(service, ".") && identifier(method, "")
}

// Names returns the full names.
func (m *Methods) Names() map[string]bool { return maps.Clone(m.names) }

// call is a call on its way through the mux.
type call struct {
	run func(r *http.Request, header http.Header)
	ran bool
}

type callKey struct{}

// Serve calls run if the gate admits the call that r represents. run gets the request for
// the handler, and the headers that the response must contain. If the gate refuses the
// call, or no method has its path, Serve returns the refusal.
func (m *Methods) Serve(r *http.Request, run func(r *http.Request, header http.Header)) *Refusal {
	c := &call{run: run}
	w := &response{header: make(http.Header)}
	m.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callKey{}, c)))
	if c.ran {
		return nil
	}
	return w.refusal()
}

// serveCall is the handler of every method.
func serveCall(w http.ResponseWriter, r *http.Request) {
	c, ok := r.Context().Value(callKey{}).(*call)
	if !ok {
		panic("rpc: a request that is not a call")
	}
	c.ran = true
	c.run(r, w.Header())
}
