// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

const (
	defaultPrefix  = "gatehouse"
	defaultTimeout = 5 * time.Second
)

// Config configures a [Store].
type Config struct {
	// Client is a [*redis.Client] or [*redis.ClusterClient] with
	// ContextTimeoutEnabled set and without reads from replicas. Required. The
	// store never closes it.
	Client redis.UniversalClient

	// Prefix is the first part of all key names: letters, digits, "-", "_" and
	// ".". "gatehouse" if empty.
	Prefix string

	// Timeout bounds each call in addition to its context, so that a server that
	// does not respond is treated as unavailable. 5 s if zero.
	Timeout time.Duration

	// AllowUnreadableSettings lets [Store.Check] accept a server that forbids CONFIG GET,
	// as those of many providers do: whether the server loses acknowledged changes in a
	// crash is unknown to it then.
	AllowUnreadableSettings bool

	// Observer receives an event for each change that the server made and did not
	// publish: see [EventUnpublished]. Optional.
	Observer gatehouse.Observer
}

// EventUnpublished reports a change of an API key whose ID the server did not publish,
// because the user of the client has no right to the channel. Other processes notice
// the change after at most the CacheTTL of their cache. [Store.Check] finds this at the
// start.
const EventUnpublished gatehouse.EventType = "redisstore_unpublished"

// Store keeps the records of the packages of Gatehouse in one Redis server or
// cluster. It is safe for concurrent use by any number of processes.
type Store struct {
	client   redis.UniversalClient
	prefix   string
	timeout  time.Duration
	observer gatehouse.Observer
	unread   bool // settings are allowed
	budgets  Budgets
}

var validPrefix = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// New returns a store, or an error that names every invalid field. It does not
// call the server.
func New(config Config) (*Store, error) {
	s := &Store{client: config.Client, prefix: config.Prefix, timeout: config.Timeout, observer: config.Observer, unread: config.AllowUnreadableSettings}
	errs := checkClient(config.Client)
	if s.prefix == "" {
		s.prefix = defaultPrefix
	}
	if !validPrefix.MatchString(s.prefix) {
		errs = append(errs, fmt.Errorf("redisstore: Config.Prefix: %q: want letters, digits, \"-\", \"_\" and \".\"", s.prefix))
	}
	switch {
	case s.timeout < 0:
		errs = append(errs, fmt.Errorf("redisstore: Config.Timeout: %v: must not be negative", s.timeout))
	case s.timeout == 0:
		s.timeout = defaultTimeout
	}
	if s.observer != nil && typednil.Is(s.observer) {
		errs = append(errs, fmt.Errorf("redisstore: Config.Observer: is a nil %T", s.observer))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s.budgets.init(s)
	return s, nil
}

func checkClient(client redis.UniversalClient) []error {
	var honoursContext, replicas bool
	switch c := client.(type) {
	case nil:
		return []error{errors.New("redisstore: Config.Client: required")}
	case *redis.Client:
		honoursContext = c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		o := c.Options()
		honoursContext, replicas = o.ContextTimeoutEnabled, o.ReadOnly || o.RouteByLatency || o.RouteRandomly
	default:
		return []error{fmt.Errorf("redisstore: Config.Client: %T: want *redis.Client or *redis.ClusterClient", client)}
	}
	var errs []error
	if !honoursContext {
		errs = append(errs, errors.New("redisstore: Config.Client: ContextTimeoutEnabled: required, otherwise deadlines have no effect"))
	}
	if replicas {
		errs = append(errs, errors.New("redisstore: Config.Client: must not read from replicas, on which a revoked key may still be valid"))
	}
	return errs
}

// once is a command that go-redis does not retry: the server may have executed it, and a
// second rotation would end the previous secret early.
type once struct{ *redis.Cmd }

// NoRetry implements [redis.Cmder].
func (once) NoRetry() bool { return true }

// script is one change or one query, which the server executes atomically.
type script struct {
	text   string
	hash   string
	writes bool
	full   *script // what runs if the memory of the server is full, nil for none
}

// newQuery returns a script that go-redis may repeat.
func newQuery(texts ...string) *script { return newScript(false, "", texts) }

// newChange returns a script that the server refuses, without a change, when its
// memory is full.
func newChange(texts ...string) *script { return newScript(true, "#!lua\n", texts) }

// newRevocation returns a script that works when the memory of the server is full. It
// ends or extends an existing record, such as a credential, a session or a hold, and adds
// at most a few fields of bounded size, or replaces a secret.
func newRevocation(texts ...string) *script {
	return newScript(true, "#!lua flags=allow-oom\n", texts)
}

// newReplacement returns a script that replaces texts of a record with those of the
// caller. If full is true, the memory of the server is full: the script must then refuse a
// change that makes the record longer.
func newReplacement(texts ...string) *script {
	s := newChange(slices.Concat([]string{"local full = false"}, texts)...)
	s.full = newRevocation(slices.Concat([]string{"local full = true", refusal}, texts)...)
	return s
}

// refusal is the error of a script of newReplacement, as that of the server.
const refusal = "local oom = redis.error_reply('OOM the record would be longer')"

func newScript(writes bool, flags string, texts []string) *script {
	text := flags + strings.Join(texts, "\n")
	return &script{text: text, hash: redis.NewScript(text).Hash(), writes: writes}
}

// run executes a script whose keys begin with base.
func (s *Store) run(ctx context.Context, script *script, base string, args ...any) ([]any, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	reply, err := s.load(ctx, script, base, args)
	if script.full != nil && redis.HasErrorPrefix(err, "OOM") { // nothing has run yet
		return s.load(ctx, script.full, base, args)
	}
	return reply, err
}

func (s *Store) load(ctx context.Context, script *script, base string, args []any) ([]any, error) {
	reply, err := s.eval(ctx, script, "evalsha", script.hash, base, args)
	if redis.HasErrorPrefix(err, "NOSCRIPT") { // new to this server, or to its script cache after a restart
		reply, err = s.eval(ctx, script, "eval", script.text, base, args)
	}
	return reply, err
}

func (s *Store) eval(ctx context.Context, script *script, command, text, base string, args []any) ([]any, error) {
	cmd := redis.NewCmd(ctx, slices.Concat([]any{command, text, 1, base}, args)...)
	var err error
	if script.writes {
		err = s.client.Process(ctx, once{cmd})
	} else {
		err = s.client.Process(ctx, cmd)
	}
	if err != nil {
		return nil, err
	}
	return cmd.Slice()
}
