// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
)

// call is one run of a command.
type call struct {
	options
	ctx    context.Context
	in     io.Reader
	out    *os.File
	flags  *flag.FlagSet
	source *store
	keys   *apikey.Keys
	scopes list
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(text string) error {
	*l = append(*l, strings.Fields(text)...)
	return nil
}

// parse reads the flags of a command. An argument without a dash that follows a
// -scope is another scope.
func (c *call) parse(args []string) error {
	for {
		if err := c.flags.Parse(args); err != nil {
			return flag.ErrHelp
		}
		if c.flags.NArg() == 0 {
			return nil
		}
		if len(c.scopes) == 0 {
			return fmt.Errorf("%q is not a flag", c.flags.Arg(0))
		}
		c.scopes = append(c.scopes, c.flags.Arg(0))
		args = c.flags.Args()[1:]
	}
}

// commands register their flags and return the work to do after parsing.
var commands = map[string]func(*call) func() error{
	"create":   create,
	"list":     listKeys,
	"describe": one("describe", (*apikey.Keys).Describe),
	"rotate":   rotate,
	"revoke":   one("revoke", (*apikey.Keys).Revoke),
	"suspend":  one("suspend", (*apikey.Keys).Suspend),
	"resume":   one("resume", (*apikey.Keys).Resume),
	"delete":   deleteKey,
	"copy":     copyKeys,
	"leak":     leak,
	"due":      due,
}

func create(c *call) func() error {
	var r apikey.Request
	var networks list
	c.flags.StringVar(&r.Owner, "owner", "", "the owner of the key, its subject (required)")
	c.flags.StringVar(&r.Tenant, "tenant", "", "the tenant of the key")
	c.flags.StringVar(&r.Environment, "environment", "", `the environment of the key ("live")`)
	c.flags.DurationVar(&r.Lifetime, "lifetime", 90*24*time.Hour, "how long a secret is valid")
	c.flags.Var(&c.scopes, "scope", "a scope of the key; repeatable")
	c.flags.Var(&networks, "network", "a network that may use the key, such as 192.0.2.0/24; repeatable")
	var roles []string // with spaces, where the names have some
	c.flags.Func("role", "a role of the key, in its metadata; repeatable", func(role string) error {
		roles = append(roles, role)
		return nil
	})
	file := c.flags.String("metadata", "", "the file with the metadata of the key, a JSON object, such as its caps")
	c.flags.StringVar(&c.options.out, "out", "", "the file for the secret")
	return func() error {
		var err error
		if r.Metadata, err = metadata(*file, roles); err != nil {
			return err
		}
		for _, text := range networks {
			network, err := netip.ParsePrefix(text)
			if err != nil {
				return fmt.Errorf("-network: %w", err)
			}
			r.Networks = append(r.Networks, network)
		}
		r.Scopes = c.scopes
		return c.issue(func() (apikey.Issued, error) { return c.keys.Create(c.ctx, r) })
	}
}

func rotate(c *call) func() error {
	id := c.flags.String("id", "", "the key (required)")
	grace := c.flags.Duration("grace", 0, "how long the old secret stays valid")
	c.flags.StringVar(&c.options.out, "out", "", "the file for the secret")
	return func() error {
		if *id == "" {
			return errors.New("-id: required")
		}
		return c.issue(func() (apikey.Issued, error) { return c.keys.Rotate(c.ctx, *id, *grace, 0) })
	}
}

// one is a command that changes one key and prints it.
func one(name string, do func(*apikey.Keys, context.Context, string) (apikey.Key, error)) func(*call) func() error {
	return func(c *call) func() error {
		id := c.flags.String("id", "", "the key to "+name+" (required)")
		return func() error {
			if *id == "" {
				return errors.New("-id: required")
			}
			k, err := do(c.keys, c.ctx, *id)
			if err != nil {
				return err
			}
			return c.show(k)
		}
	}
}

func listKeys(c *call) func() error {
	q := c.query()
	return func() error { return c.pages(q()) }
}

func due(c *call) func() error {
	q := c.query()
	within := c.flags.Duration("within", 14*24*time.Hour, "keys that expire within this time")
	return func() error {
		query := q()
		query.ExpiresWithin = *within
		return c.pages(query)
	}
}

// query registers the flags that select keys.
func (c *call) query() func() apikey.Query {
	tenant := c.flags.String("tenant", "", "only keys of this tenant")
	owner := c.flags.String("owner", "", "only keys of this owner")
	return func() apikey.Query {
		return apikey.Query{Filter: apikey.Filter{Tenant: *tenant, AnyTenant: *tenant == "", Owner: *owner}, Limit: pageSize}
	}
}

// pages prints all keys of a query, page by page.
func (c *call) pages(q apikey.Query) error {
	table := c.newTable()
	for cursor := ""; ; {
		page, err := c.keys.List(c.ctx, q, cursor)
		if err == nil {
			err = table.add(page.Keys)
		}
		if err != nil {
			return err
		}
		if cursor = page.Next; cursor == "" {
			return table.end()
		}
	}
}

// leak reads a leaked key from standard input, which keeps it out of the history
// of the shell, and revokes it.
func leak(c *call) func() error {
	return func() error {
		text, err := io.ReadAll(io.LimitReader(c.in, 4<<10))
		if err != nil {
			return err
		}
		k, err := c.keys.RevokeLeaked(c.ctx, string(text))
		if errors.Is(err, apikey.ErrNotFound) {
			return errors.New("no such key, or its secret has been rotated; nothing was revoked")
		}
		if err != nil {
			return err
		}
		return c.show(k)
	}
}
