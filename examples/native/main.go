// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "native:", err)
		os.Exit(1)
	}
}

// run writes who has signed in to out, and to problems what a person has to be
// told before.
func run(ctx context.Context, args []string, out, problems io.Writer) error {
	flags := flag.NewFlagSet("native", flag.ContinueOnError)
	flags.SetOutput(problems)
	issuer := flags.String("issuer", "", "the issuer identifier of the authorization server, an https URL")
	clientID := flags.String("client-id", "", "what this program is called there: a public client")
	scope := flags.String("scope", "openid", "what to ask for, with openid among it")
	path := flags.String("path", "/callback", "the path of the redirect URI, as it is registered")
	port := flags.Int("port", 0, "the port of the redirect URI, for servers that do not let it be free")
	timeout := flags.Duration("timeout", 5*time.Minute, "how long to wait for the person")
	noBrowser := flags.Bool("no-browser", false, "print the address, and do not open it")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	scopes, err := gatehouse.ParseScopes(*scope)
	u, pathErr := url.Parse(*path)
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("%q is not a flag", flags.Arg(0))
	case *issuer == "" || *clientID == "":
		return errors.New("-issuer and -client-id: required")
	case err != nil:
		return fmt.Errorf("-scope: %w", err)
	case !scopes.Has("openid"):
		return errors.New("-scope: without openid nobody says who has signed in")
	case pathErr != nil || u.Path != *path || !strings.HasPrefix(*path, "/"):
		return errors.New("-path: not a path")
	case *port < 0 || *port > 65535:
		return fmt.Errorf("-port: %d is no port", *port)
	case *timeout <= 0:
		return errors.New("-timeout: must be more than nothing")
	}

	// RFC 8252 §8.5: a secret that is part of a program that people have is none.
	client, err := oauth.New(oauth.Config{Issuer: *issuer, ClientID: *clientID, Auth: oauth.Public})
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // the program ends

	patience, cancel := context.WithTimeoutCause(ctx, *timeout, fmt.Errorf("nobody has signed in within %v", *timeout))
	defer cancel()
	result, err := signIn(patience, client, redirect{*port, *path}, scopes, func(address string) {
		fmt.Fprintf(problems, "To sign in, open this address in a browser:\n\n  %s\n\n", address)
		if !*noBrowser && openBrowser(address) {
			fmt.Fprintln(problems, "It should be open by now.")
		}
	})
	if err != nil {
		return err
	}
	// Nothing is kept, so nothing must stay valid.
	defer func() {
		if err := withdraw(ctx, client, result.Tokens); err != nil {
			fmt.Fprintln(problems, "native: the tokens could not be withdrawn and are good until they end:", err)
		}
	}()

	who, err := userinfo(ctx, client, result)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "signed in as %s\nsubject %s\nissuer %s\nscopes %s\n",
		printable(who.called()), printable(who.subject), *issuer, result.Tokens.Scopes)
	return nil
}

// withdraw ends what the login has brought, also when the program is interrupted.
func withdraw(ctx context.Context, client *oauth.Client, tokens oauth.Tokens) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	token, kind := tokens.Access, oauth.AccessToken
	if tokens.Refresh.Len() > 0 { // the access token goes with it
		token, kind = tokens.Refresh, oauth.RefreshToken
	}
	if err := client.Revoke(ctx, token, kind); err != nil && !errors.Is(err, oauth.ErrNotOffered) {
		return err
	}
	return nil
}
