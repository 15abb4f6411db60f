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
)

const (
	defaultPrefix  = "gatehouse"
	defaultTimeout = 5 * time.Second
)

// Config configures a [Store].
type Config struct {
	// Client is the connection to the server: a [*redis.Client] or a
	// [*redis.ClusterClient], with ContextTimeoutEnabled set and without
	// reading from replicas. Required. It stays the application's: the store
	// never closes it.
	Client redis.UniversalClient

	// Prefix is what the names of all keys begin with, "gatehouse" if empty:
	// letters, digits, "-", "_" and ".".
	Prefix string

	// Timeout bounds each call, beside the context that it is given: 5 s if
	// zero. An engine that hangs is then one that is down.
	Timeout time.Duration
}

// Store keeps what the rooms of Gatehouse keep, in one Redis. It is safe for
// concurrent use, by any number of processes.
type Store struct {
	client  redis.UniversalClient
	prefix  string
	timeout time.Duration
}

var validPrefix = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// New makes a store. All mistakes in the configuration are reported at once. It
// does not call the server.
func New(config Config) (*Store, error) {
	s := &Store{client: config.Client, prefix: config.Prefix, timeout: config.Timeout}
	errs := checkClient(config.Client)
	if s.prefix == "" {
		s.prefix = defaultPrefix
	}
	if !validPrefix.MatchString(s.prefix) {
		errs = append(errs, errors.New("redisstore: Config.Prefix: has other characters than letters, digits, \"-\", \"_\" and \".\""))
	}
	switch {
	case s.timeout < 0:
		errs = append(errs, errors.New("redisstore: Config.Timeout: is negative"))
	case s.timeout == 0:
		s.timeout = defaultTimeout
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
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
		return []error{fmt.Errorf("redisstore: Config.Client: is a %T, not a *redis.Client or *redis.ClusterClient", client)}
	}
	var errs []error
	if !honoursContext {
		errs = append(errs, errors.New("redisstore: Config.Client: ContextTimeoutEnabled is not set, so deadlines would not hold"))
	}
	if replicas {
		errs = append(errs, errors.New("redisstore: Config.Client: reads from replicas, where a revoked key may still be good"))
	}
	return errs
}

// once is a command that go-redis does not send again after it has failed.
// What was sent may have been carried out, and a rotation that is carried out
// twice ends the secret before it.
type once struct{ *redis.Cmd }

// NoRetry implements [redis.Cmder].
func (once) NoRetry() bool { return true }

// script is one change or one question, which the server carries out as a
// whole, while nothing else happens.
type script struct {
	text   string
	hash   string
	writes bool
}

func newScript(writes bool, texts ...string) *script {
	text := strings.Join(texts, "\n")
	return &script{text, redis.NewScript(text).Hash(), writes}
}

// run carries out a script whose keys begin with base.
func (s *Store) run(ctx context.Context, script *script, base string, args ...any) ([]any, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	reply, err := s.eval(ctx, script, "evalsha", script.hash, base, args)
	if redis.HasErrorPrefix(err, "NOSCRIPT") { // the server has restarted, or never saw it
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
