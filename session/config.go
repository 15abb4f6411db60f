// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/internal/flight"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

const (
	defaultName     = "session"
	defaultIdle     = 30 * time.Minute
	defaultAbsolute = 12 * time.Hour
	defaultPerUser  = 100
	minIdle         = time.Second
	maxAbsolute     = 400 * 24 * time.Hour // the limit of browsers for cookies

	// maxTouch is the maximum interval between writes of LastSeen.
	maxTouch = time.Minute
)

// Config configures a [Manager].
type Config struct {
	// Store keeps the sessions. Required. Managers with the same Name share the
	// sessions of a store; managers with different Names have separate sessions.
	Store Store

	// Keys seal the tokens in the store. Required for sessions with tokens. To
	// rotate, append the new key in all processes, then move it to the front, and
	// remove the old one when all sessions that began before that have expired. A
	// session whose key is removed stays valid, but loses its tokens.
	Keys *cookie.Keyring

	// Refresh redeems the refresh token of a session, as Client.Refresh of package
	// oauth does. For each session, the manager makes one call at a time, across
	// all processes, and never a second one with the same refresh token unless a
	// process dies during the first. An error that wraps [ErrSignedOut] ends the
	// session; after any other error the session stays valid and the next call of
	// Tokens retries. If the new tokens have fewer scopes than the old ones, the
	// principal of the session loses them too. Optional.
	Refresh func(ctx context.Context, old Tokens) (Tokens, error)

	// Revoke revokes refreshed tokens that are lost: the store could not keep them, or
	// the session ended in the meantime. Its timeout is 6 s. If Revoke is nil or fails,
	// the tokens stay valid, and the event [EventRefreshLost] reports that. Optional.
	Revoke func(ctx context.Context, lost Tokens) error

	// TrustedOrigins are the origins of other sites whose pages may use the
	// sessions: see [cookie.CrossSiteConfig]. They also require CORS middleware in
	// front of the gate. Optional.
	TrustedOrigins []string

	// AllowFraming lets pages of other sites and hosts show pages of sessions in frames:
	// see [cookie.CrossSiteConfig].
	AllowFraming bool

	// Idle is the idle timeout: 30 minutes if zero, at least a second, and at most
	// Absolute. The time of the last request is stored at most once a minute, or
	// once per Idle/10 if that is shorter, so a session may expire earlier by this
	// interval.
	Idle time.Duration

	// Absolute is the absolute timeout, counted from the login: 12 hours if zero,
	// at most 400 days.
	Absolute time.Duration

	// PerUser is the maximum number of sessions of one Subject: 100 if zero, at most
	// 1,000. A login above the maximum ends the sessions that have been idle for the
	// longest time, so that logins cannot fill the store. Concurrent logins do not end
	// each other, so they can exceed the maximum until the next login.
	PerUser int

	// Persistent keeps the cookie when the browser is closed. It does not change the
	// timeouts. [Login].Lifetime sets it, and the timeouts, for one session.
	Persistent bool

	// Partitioned gives the cookie the attributes Partitioned (CHIPS) and SameSite=None.
	// Set it only for an application that pages of other sites show in a frame: the
	// browser then sends the cookie in the frame, which SameSite=Lax would prevent, and
	// each embedding site has separate sessions. The login must also be in the frame. It
	// requires AllowFraming. Without SameSite=Lax, [cookie.CrossSite] is the only
	// protection against CSRF.
	Partitioned bool

	// Name is the name of the cookie without its prefix, "session" if empty.
	// Cookies do not distinguish ports: two servers on one host need two names.
	Name string

	// Observer receives the events of sessions, such as [EventStarted], and the requests
	// that [Manager.Start] and [Manager.End] reject outside of every gate. The method
	// that caused the event returns the error of the observer. The change is kept, except
	// by Start, which is rolled back. Optional.
	Observer gatehouse.Observer
}

// Manager starts, refreshes and ends sessions, and is the
// [gatehouse.Authenticator] for them. It is safe for concurrent use, and any
// number of processes may share a store.
type Manager struct {
	store    Store
	keys     *cookie.Keyring
	refresh  func(context.Context, Tokens) (Tokens, error)
	revoke   func(context.Context, Tokens) error // nil for none
	sites    *cookie.CrossSite
	cookie   *cookie.Cookie
	spec     cookie.Config // of cookie
	removal  http.Header   // deletes the cookie
	lifetime Lifetime
	perUser  int
	observer gatehouse.Observer // nil for none

	cache     principals
	refreshes flight.Group[string, Tokens] // by ID
}

// New returns a manager. It reports all configuration errors at once. New does
// not call the store.
//
// Implements RFC 10017 §6.1.3.2 (Lax).
func New(config Config) (*Manager, error) {
	m := &Manager{
		store: config.Store, keys: config.Keys, refresh: config.Refresh, revoke: config.Revoke, observer: config.Observer,
		lifetime: Lifetime{Idle: config.Idle, Absolute: config.Absolute, Persistent: config.Persistent}, perUser: config.PerUser,
	}
	m.refreshes.Timeout = claimFor + refreshTimeout
	if m.perUser == 0 {
		m.perUser = defaultPerUser
	}
	m.lifetime = m.lifetime.or(Lifetime{Idle: defaultIdle, Absolute: defaultAbsolute})
	errs := m.check()
	if config.Partitioned && !config.AllowFraming {
		errs = append(errs, errors.New("session: Config.Partitioned: requires AllowFraming: only a page in a frame of another site needs it"))
	}
	m.spec = cookie.Config{Name: config.Name, Partitioned: config.Partitioned}
	if config.Name == "" {
		m.spec.Name = defaultName
	}
	if config.Partitioned {
		m.spec.SameSite = http.SameSiteNoneMode
	}
	var err error
	if m.cookie, err = cookie.New(m.spec); err != nil {
		errs = append(errs, fmt.Errorf("session: Config.Name: %w", err))
	}
	if m.sites, err = cookie.NewCrossSite(cookie.CrossSiteConfig{TrustedOrigins: config.TrustedOrigins, AllowFraming: config.AllowFraming}); err != nil {
		errs = append(errs, fmt.Errorf("session: Config.TrustedOrigins: %w", err))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	m.removal = make(http.Header)
	m.cookie.Clear(headerWriter(m.removal))
	return m, nil
}

func (m *Manager) check() (errs []error) {
	if typednil.Is(m.store) {
		errs = append(errs, errors.New("session: Config.Store: required"))
	}
	if m.observer != nil && typednil.Is(m.observer) {
		errs = append(errs, fmt.Errorf("session: Config.Observer: is a nil %T", m.observer))
	}
	if m.refresh != nil && m.keys == nil {
		errs = append(errs, errors.New("session: Config.Keys: required with Refresh"))
	}
	if m.perUser < 1 || m.perUser > maxListed {
		errs = append(errs, fmt.Errorf("session: Config.PerUser: must be from 1 to %d", maxListed))
	}
	return append(errs, m.lifetime.check("Config."))
}

// Close waits for the refreshes that are running, at most 16 s, because canceling
// one could lose the new refresh token. Afterwards the manager refreshes no tokens.
func (m *Manager) Close() error {
	m.refreshes.Close()
	return nil
}
