// SPDX-License-Identifier: Apache-2.0

// Package approval lets people decide on single calls of tools by AI agents:
// request, decide, claim.
//
// [Approvals.Request] requests an approval of a [Call]. The approval is bound to the
// whole call: tenant, subject, actor, tool, version, and the arguments in canonical form,
// RFC 8785. [Approvals.Decide] records the decision of a person; the [Rule] says which
// persons, and how many of them. [Approvals.Claim] uses the approval immediately before
// the call is dispatched. Of any number of concurrent claims, on any number of servers,
// exactly one succeeds. An approval expires by the clock of the store.
//
// A decider is a user of the same tenant who acts in person: never an agent, a user with
// a delegated token, or the subject or actor of the call. Only consent is given by the
// subject: see [Rule].
//
// Approvals is also an [http.Handler], with a page for people and JSON for programs. The
// agent gets the decision by [Approvals.Wait], by polling, or by Config.Decided.
//
// [Memory] serves one process; the store module has stores for several. Package
// approvaltest tests implementations of [Store]. Package tool requests and claims
// approvals by a table of tools.
package approval

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

const (
	defaultLifetime     = 10 * time.Minute
	maxLifetime         = 24 * time.Hour
	defaultMaxArguments = 256 << 10
	maxMaxArguments     = 16 << 20
	defaultMaxPending   = 100
	defaultPendingBytes = 16 << 20
	maxText             = 255       // bytes of a tenant, tool or version, and of an issuer or subject
	maxReason           = 2000      // bytes of the reason of a decision
	maxCount            = 16        // persons who must approve one call
	maxListed           = 100       // approvals of a list
	maxListedArguments  = 128 << 10 // bytes of the arguments of an approval in a list
	hookTimeout         = 10 * time.Second
)

// Config configures [Approvals].
type Config struct {
	// Store keeps the approvals. Required.
	Store Store

	// URL is the address of the page, such as "https://tools.example.com/approvals":
	// https, or http on a loopback address, without a query. Required. The page of an
	// approval is URL, a slash and its ID. Mount the handler at the path of URL and
	// below. A POST of a browser must come from a page of the origin of URL, or of the
	// Host of the request.
	URL string

	// Lifetime is the time after which an approval expires, counted from its request
	// and not from the decision: from 1 second to 24 hours, 10 minutes if zero.
	Lifetime time.Duration

	// MaxArguments is the largest size of the canonical arguments in bytes: at most 16
	// MiB, 256 KiB if zero.
	MaxArguments int

	// MaxPending is the maximum number of approvals of one actor in a tenant that wait
	// for a decision, 100 if zero. Concurrent requests can exceed it by their number.
	// Requests above it are refused with [CodeTooMany].
	MaxPending int

	// MaxPendingBytes is the maximum size of the arguments of these approvals together,
	// in bytes: at least MaxArguments and at most 1 GiB, 16 MiB if zero.
	MaxPendingBytes int

	// AllowAskingAgain lets a call request another approval at once after a denial.
	// Without it the same call is refused until the denied approval expires, so that an
	// agent cannot repeat a request until a tired person approves. Set it if people need
	// to correct their decisions.
	AllowAskingAgain bool

	// Requested is called after an approval was requested, to notify the deciders.
	// Decided is called after an approval was approved or denied, to notify the agent.
	// Both are called before the method returns, with a context of at most 10 s. An error
	// is reported as an [EventHookFailed] and has no other effect. Optional.
	Requested, Decided func(ctx context.Context, a Approval) error

	// Observer receives the events of this package. If Observe fails, the method
	// returns an error and its change is kept: a claimed approval is used. Optional.
	Observer gatehouse.Observer
}

// Approvals requests, decides and claims approvals. It is safe for concurrent use
// by any number of processes that share a store.
type Approvals struct {
	config     Config
	path       string // of the page
	origin     string
	protection http.CrossOriginProtection
}

// New returns Approvals. It reports all configuration errors at once, and an
// [EventMemoryStore] to the observer.
func New(c Config) (*Approvals, error) {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("approval: Config."+format, args...))
	}
	if typednil.Is(c.Store) {
		fail("Store: required")
	}
	if c.Observer != nil && typednil.Is(c.Observer) {
		fail("Observer: is a nil %T", c.Observer)
	}
	u, err := safeurl.Parse(c.URL)
	switch {
	case err != nil:
		fail("URL: %w", err)
	case u.RawQuery != "" || u.ForceQuery || u.Path == "" || strings.HasSuffix(u.Path, "/") || u.EscapedPath() != u.Path:
		fail("URL: must have a plain path without a slash at the end, and no query")
	}
	between := func(name string, value *int64, standard, least, most int64) {
		if *value == 0 {
			*value = standard
		}
		if *value < least || *value > most {
			fail("%s: %d is not within %d and %d", name, *value, least, most)
		}
	}
	lifetime, arguments, pending := int64(c.Lifetime), int64(c.MaxArguments), int64(c.MaxPending)
	size := int64(c.MaxPendingBytes)
	between("Lifetime", &lifetime, int64(defaultLifetime), int64(time.Second), int64(maxLifetime))
	between("MaxArguments", &arguments, defaultMaxArguments, 1, maxMaxArguments)
	between("MaxPending", &pending, defaultMaxPending, 1, 1e6)
	between("MaxPendingBytes", &size, defaultPendingBytes, max(arguments, 1), 1<<30)
	c.Lifetime, c.MaxArguments, c.MaxPending, c.MaxPendingBytes = time.Duration(lifetime), int(arguments), int(pending), int(size)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if _, ok := c.Store.(*Memory); ok {
		err := gatehouse.Report(context.Background(), c.Observer, gatehouse.Event{Type: EventMemoryStore, Level: slog.LevelWarn})
		if err != nil {
			return nil, err
		}
	}
	s := &Approvals{config: c, path: u.Path, origin: u.Scheme + "://" + u.Host}
	_ = s.protection.AddTrustedOrigin(s.origin) // it is valid
	return s, nil
}

// URL returns the address of the page of an approval.
func (s *Approvals) URL(id string) string { return s.config.URL + "/" + url.PathEscape(id) }

// MaxArguments returns the largest size of the canonical arguments in bytes.
func (s *Approvals) MaxArguments() int { return s.config.MaxArguments }
