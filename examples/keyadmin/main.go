// SPDX-License-Identifier: Apache-2.0

// Keyadmin is the operator's command for API keys, over the stores that the
// servers use.
//
//	keyadmin -store sqlite:keys.db create -owner ci -tenant acme -scope reports:read
//	keyadmin -store env:KEYS_DSN rotate -id ID -grace 24h -json
//	keyadmin -store postgres://… revoke -id ID
//	keyadmin -store redis://… list -tenant acme
//	keyadmin -store sqlite:keys.db due -within 336h
//	keyadmin -store sqlite:keys.db leak <file-with-the-leaked-key
//	keyadmin -store sqlite:keys.db copy -to env:KEYS_DSN
//
// A new secret goes to a terminal, to a file that -out names and only its owner
// can read, or into the output of -json. It cannot be shown again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "keyadmin:", err)
		os.Exit(1)
	}
}

// options are the flags that all commands share.
type options struct {
	store, prefix string
	json          bool
	out           string
}

func (o *options) register(flags *flag.FlagSet) {
	flags.StringVar(&o.store, "store", o.store, "sqlite:PATH, postgres://…, redis://…, or env:NAME or file:PATH that contains one of these")
	flags.StringVar(&o.prefix, "prefix", o.prefix, "the prefix of every key, the same for all programs that share the store")
	flags.BoolVar(&o.json, "json", o.json, "print JSON")
}

// prepareTimeout limits the migration and the check of a store.
const prepareTimeout = time.Minute

const usage = "usage: keyadmin -store STORE create|list|describe|rotate|revoke|suspend|resume|delete|leak|due|copy [flags]"

func run(ctx context.Context, args []string, in io.Reader, out *os.File) error {
	o := options{prefix: "gatehouse"}
	flags := flag.NewFlagSet("keyadmin", flag.ContinueOnError)
	o.register(flags)
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp
	}
	if flags.NArg() == 0 {
		return errors.New(usage)
	}
	command, ok := commands[flags.Arg(0)]
	if !ok {
		return fmt.Errorf("unknown command %q\n%s", flags.Arg(0), usage)
	}
	c := &call{options: o, in: in, out: out}
	c.flags = flag.NewFlagSet("keyadmin "+flags.Arg(0), flag.ContinueOnError)
	c.register(c.flags)
	work := command(c)
	if err := c.parse(flags.Args()[1:]); err != nil {
		return err
	}
	store, err := openStore(c.store, flags.Arg(0) == "create")
	if err != nil {
		return fmt.Errorf("-store: %w", err)
	}
	defer func() { _ = store.close() }()
	if err := store.ready(ctx); err != nil {
		return fmt.Errorf("-store: %w", err)
	}
	c.ctx, c.source = ctx, store // the store limits each call
	// The operator decides which scopes exist: all that the command names.
	if c.keys, err = apikey.New(apikey.Config{Store: store.keys, Prefix: c.prefix, Scopes: c.scopes}); err != nil {
		return err
	}
	return work()
}
