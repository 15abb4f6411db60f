// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

//go:embed provider.mjs
var providerScript string

// errNoProvider says what the story needs.
var errNoProvider = errors.New(`the story needs an authorization server, npm oidc-provider, and did not find it.
Install Node 20 or newer, then run
	npm install oidc-provider@9
in this directory, or name the directory that has node_modules with -npm.
Without Node, run the services against your authorization server: see -config`)

// findNPM returns the directory with node_modules/oidc-provider: the given one, the
// current one, or, in the repository of Gatehouse, interop.
func findNPM(directory string) (string, error) {
	if _, err := exec.LookPath("node"); err != nil {
		return "", errNoProvider
	}
	candidates := []string{".", "interop", "../../interop"}
	if directory != "" {
		candidates = []string{directory}
	}
	for _, c := range candidates {
		if _, err := os.Stat(filepath.Join(c, "node_modules", "oidc-provider", "package.json")); err == nil {
			return c, nil
		}
	}
	return "", errNoProvider
}

// startProvider starts the authorization server, with the clients of c, and returns its
// issuer. stop ends it; it ends with this process, too.
func startProvider(ctx context.Context, c config, npm string) (issuer string, stop func(), err error) {
	registration, err := c.registration(ctx)
	if err != nil {
		return "", nil, err
	}
	// Node looks for packages in the directory where it runs.
	cmd := exec.CommandContext(ctx, "node", "--input-type=module", "--eval", providerScript) //nolint:gosec // a constant
	cmd.Dir = npm
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = stdin.Close() // the script ends with its input
		_ = cmd.Wait()
	}
	kill := time.AfterFunc(4*timeout, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	var answer struct {
		Issuer string `json:"issuer"`
	}
	if _, err = stdin.Write(append(registration, '\n')); err == nil {
		var line []byte
		if line, err = bufio.NewReader(stdout).ReadBytes('\n'); err == nil {
			err = json.Unmarshal(line, &answer)
		}
	}
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("oidc-provider: %w\n%s", err, &stderr)
	}
	return answer.Issuer, stop, nil
}

// registration returns the client registrations for the authorization server.
func (c config) registration(ctx context.Context) ([]byte, error) {
	text := make(map[string]string)
	for name, file := range map[string]string{"ca": c.CA, "cert": "as.pem", "key": "as-key.pem"} {
		content, err := os.ReadFile(c.path(file))
		if err != nil {
			return nil, err
		}
		text[name] = string(content)
	}
	private, err := jwtauth.LoadPrivateKey("file:" + c.path(c.Billing.AssertionKey))
	if err != nil {
		return nil, err
	}
	keys, err := jwtauth.NewKeyRing(jwtauth.SigningKey{Algorithm: jwtauth.ES256, Private: private})
	if err != nil {
		return nil, err
	}
	// A keyring is also the handler for the jwks_uri of the client, which an
	// authorization server that runs for longer fetches.
	jwks := httptest.NewRecorder()
	keys.ServeHTTP(jwks, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody))
	return json.Marshal(map[string]any{
		"ca": text["ca"], "cert": text["cert"], "key": text["key"], "resource": c.Reports.Origin, "scope": scope,
		"san": spiffeID, "clients": c.Billing.Clients, "jwks": json.RawMessage(jwks.Body.Bytes()),
	})
}
