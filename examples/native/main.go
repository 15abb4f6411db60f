// SPDX-License-Identifier: Apache-2.0

// Native logs a user in from the command line with the browser of the machine:
// OAuth 2.0 for native apps, RFC 8252. Copy this folder into a program that calls
// APIs for its user.
//
//	go run ./examples/native -issuer https://login.example.com -client-id cli -scope "openid email"
//
// The program is a public client with PKCE. It prints the user on standard output,
// keeps the tokens in memory, and revokes them before it ends. A program that
// keeps tokens for longer stores them in the keychain of the system, not in a
// file. README.md describes the registration and the flags.
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

// run writes the user to out, and instructions and warnings to problems.
func run(ctx context.Context, args []string, out, problems io.Writer) error {
	flags := flag.NewFlagSet("native", flag.ContinueOnError)
	flags.SetOutput(problems)
	issuer := flags.String("issuer", "", "the issuer identifier of the authorization server, an https `URL`")
	clientID := flags.String("client-id", "", "the client ID of this program, a public client")
	scope := flags.String("scope", "openid", "the requested scopes, which must include openid")
	path := flags.String("path", "/callback", "the path of the registered redirect URI")
	port := flags.Int("port", 0, "the port of the redirect URI, for authorization servers that compare it; 0 picks a free one")
	timeout := flags.Duration("timeout", 5*time.Minute, "how long to wait for the user")
	noBrowser := flags.Bool("no-browser", false, "print the URL and do not open it")
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
		return errors.New("-scope: openid is required")
	case pathErr != nil || u.Path != *path || !strings.HasPrefix(*path, "/"):
		return errors.New("-path: not a path")
	case *port < 0 || *port > 65535:
		return fmt.Errorf("-port: %d is not a port", *port)
	case *timeout <= 0:
		return errors.New("-timeout: must be positive")
	}

	// RFC 8252 §8.5: a secret in a distributed program is not confidential.
	client, err := oauth.New(oauth.Config{Issuer: *issuer, ClientID: *clientID, Auth: oauth.Public})
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // the program ends

	login, cancel := context.WithTimeoutCause(ctx, *timeout, fmt.Errorf("no login within %v", *timeout))
	defer cancel()
	result, err := signIn(login, client, redirect{*port, *path}, scopes, func(address string) {
		fmt.Fprintf(problems, "To sign in, open this URL in a browser:\n\n  %s\n\n", address)
		if !*noBrowser && openBrowser(address) {
			fmt.Fprintln(problems, "The browser should open now.")
		}
	})
	if err != nil {
		return err
	}
	// The program keeps no token, so none must stay valid.
	defer func() {
		if err := revoke(ctx, client, result.Tokens); err != nil {
			fmt.Fprintln(problems, "native: the tokens are not revoked and stay valid until they expire:", err)
		}
	}()

	user, err := userinfo(ctx, client, result)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "signed in as %s\nsubject %s\nissuer %s\nscopes %s\n",
		printable(user.displayName()), printable(user.subject), *issuer, result.Tokens.Scopes)
	return nil
}

// revoke revokes the tokens of the login, also when the program is interrupted.
func revoke(ctx context.Context, client *oauth.Client, tokens oauth.Tokens) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	token, kind := tokens.Access, oauth.AccessToken
	if tokens.Refresh.Len() > 0 { // the server revokes the access token with it
		token, kind = tokens.Refresh, oauth.RefreshToken
	}
	if err := client.Revoke(ctx, token, kind); err != nil && !errors.Is(err, oauth.ErrNotOffered) {
		return err
	}
	return nil
}
