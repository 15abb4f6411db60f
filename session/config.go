// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
)

const (
	defaultName      = "session"
	defaultIdle      = 30 * time.Minute
	defaultAbsolute  = 12 * time.Hour
	defaultPerPerson = 100
	minIdle          = time.Second
	maxAbsolute      = 400 * 24 * time.Hour // no browser keeps a cookie for longer

	// maxTouch is how often a session in use is written at most.
	maxTouch = time.Minute
)

// Config configures a [Manager].
type Config struct {
	// Store keeps the sessions. Required. Managers of one Name that share a store
	// share its sessions; of two Names, the cookie of one is none of the other.
	Store Store

	// Keys seal the tokens in the store. Required for sessions with tokens.
	// A key can be taken away once all sessions that began before its successor
	// came to the front are over: with a ring that lacks it people stay signed in,
	// and their tokens are no more to be had.
	Keys *cookie.Keyring

	// Refresh renews the tokens of a session: the method RefreshSession of a
	// client of the package oauth. It is called once at a time for a session,
	// whatever the number of requests, tabs and processes, and never twice with
	// one refresh token but where a process has died in between. An error that
	// is [ErrSignedOut] ends the session; with any other one the session goes on
	// and is asked again. Scopes that the tokens have no more, the principal of
	// the session loses too. Optional.
	Refresh func(ctx context.Context, old Tokens) (Tokens, error)

	// Login is where a person can log in, a path on this host or an https URL.
	// A navigation without a good session is redirected there, and a path on
	// this host is told in its parameter return_to where the person wanted to
	// go. Optional.
	Login string

	// TrustedOrigins are the origins of other pages that may use the sessions:
	// see [cookie.CrossSiteConfig]. They also need CORS, outside of the gate.
	// Optional.
	TrustedOrigins []string

	// Idle is how long a session lasts without a request, 30 minutes if zero, at
	// least a second, and never longer than Absolute. A session that is used is written once in a minute,
	// or once in a tenth of Idle if that is less, so it may end that much sooner.
	Idle time.Duration

	// Absolute is how long a session lasts from the login on, whatever happens,
	// 12 hours if zero, and at most 400 days.
	Absolute time.Duration

	// PerPerson is how many sessions a Subject may have at once, 100 if zero and
	// 1,000 at most. A login beyond that ends those that were seen the longest time
	// ago, so that nobody can fill the store by logging in.
	PerPerson int

	// Persistent has the browser keep the cookie when it is closed. The session
	// ends no later for it.
	Persistent bool

	// Name is the name of the cookie without its prefix, "session" if empty.
	// Cookies do not know ports: two servers on one host need two names.
	Name string

	// Observer is told of what [Manager.Start] and [Manager.End] refuse outside of
	// every gate, where a login and a logout stand: nobody else would tell why.
	// It may be that of the gate, such as [gatehouse.Log]. Optional.
	Observer gatehouse.Observer

	// Events is told of what becomes of sessions, after the fact. An error is
	// returned to whoever asked for the change, which stands, but for a login,
	// which then is none. Optional. It must be safe for concurrent use.
	Events func(context.Context, Event) error
}

// Manager begins, keeps and ends sessions. It is a [gatehouse.Authenticator].
// It is safe for concurrent use, and any number of processes may share a store.
type Manager struct {
	store    Store
	keys     *cookie.Keyring
	renew    func(context.Context, Tokens) (Tokens, error)
	login    string
	returns  bool // the login takes a return_to
	sites    *cookie.CrossSite
	cookie   *cookie.Cookie
	idle     time.Duration
	absolute time.Duration
	touch    time.Duration
	most     int                // sessions of one person
	observer gatehouse.Observer // nil for none
	events   func(context.Context, Event) error

	known   principals
	flights flights

	ctx    context.Context // of the shared work, until Close
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// New makes a manager. All mistakes in the configuration are reported at once.
// It does not call the store.
func New(config Config) (*Manager, error) {
	m := &Manager{
		store: config.Store, keys: config.Keys, renew: config.Refresh, observer: config.Observer, events: config.Events,
		login: config.Login, idle: config.Idle, absolute: config.Absolute, most: config.PerPerson,
	}
	if m.most == 0 {
		m.most = defaultPerPerson
	}
	if m.absolute == 0 {
		m.absolute = defaultAbsolute
	}
	if m.idle == 0 {
		m.idle = defaultIdle
	}
	m.idle = min(m.idle, m.absolute)
	m.touch = min(m.idle/10, maxTouch)
	errs := m.check()
	specification := cookie.Config{Name: config.Name}
	if config.Name == "" {
		specification.Name = defaultName
	}
	if config.Persistent {
		specification.MaxAge = m.absolute.Truncate(time.Second)
	}
	var err error
	if m.cookie, err = cookie.New(specification); err != nil {
		errs = append(errs, fmt.Errorf("session: Config.Name: %w", err))
	}
	if m.sites, err = cookie.NewCrossSite(cookie.CrossSiteConfig{TrustedOrigins: config.TrustedOrigins}); err != nil {
		errs = append(errs, fmt.Errorf("session: Config.TrustedOrigins: %w", err))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	m.returns = len(m.login) > 0 && m.login[0] == '/'
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m, nil
}

func (m *Manager) check() (errs []error) {
	if m.store == nil {
		errs = append(errs, errors.New("session: Config.Store: required"))
	}
	if m.renew != nil && m.keys == nil {
		errs = append(errs, errors.New("session: Config.Keys: required where tokens are kept, and Refresh is for tokens"))
	}
	if err := safeurl.CheckLogin(m.login); err != nil {
		errs = append(errs, fmt.Errorf("session: Config.Login: %w", err))
	}
	if m.idle < minIdle {
		errs = append(errs, fmt.Errorf("session: Config.Idle: must be at least %v", minIdle))
	}
	if m.most < 1 || m.most > maxListed {
		errs = append(errs, fmt.Errorf("session: Config.PerPerson: must be from 1 to %d", maxListed))
	}
	if m.absolute < minIdle || m.absolute > maxAbsolute {
		errs = append(errs, fmt.Errorf("session: Config.Absolute: must be from %v to 400 days", minIdle))
	}
	return errs
}

// Close waits for the renewals of tokens under way, which takes 16 s at most: to
// break one off would lose a login. The manager renews nothing afterwards.
func (m *Manager) Close() error {
	m.flights.mu.Lock() // nobody begins one now
	m.cancel()
	m.flights.mu.Unlock()
	m.work.Wait()
	return nil
}
