// SPDX-License-Identifier: Apache-2.0

package webtest

import (
	"encoding/json"
	"maps"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// CookieKey is the key in the configuration.
const CookieKey = "8c1f0a5e7d3b92466e5f4c1b0a9d8e7f6a5b4c3d2e1f0987"

// Configure writes a valid configuration with changes and returns its path. A nil
// value removes a member.
func Configure(t *testing.T, origin, issuer string, changes Object) string {
	t.Helper()
	t.Setenv("WEBTEST_SECRET", ClientSecret)
	t.Setenv("WEBTEST_KEY", CookieKey)
	t.Setenv("WEBTEST_SHORT", CookieKey[:31])
	config := Object{
		"addr": "127.0.0.1:0", "public_origin": origin, "issuer": issuer, "client_id": ClientID,
		"client_secret": "env:WEBTEST_SECRET", "scopes": []string{"openid", "email"}, "cookie_keys": []string{"env:WEBTEST_KEY"},
		"session_store": Object{"driver": "memory"}, "idle": "15m", "absolute": "12h",
	}
	maps.Copy(config, changes)
	maps.DeleteFunc(config, func(_ string, value any) bool { return value == nil })
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return Write(t, string(text))
}

// CheckReadme fails the test unless the README has a row for every field of the
// configuration.
func CheckReadme(t *testing.T, readme string, config any) {
	t.Helper()
	for _, field := range reflect.VisibleFields(reflect.TypeOf(config)) {
		if name := field.Tag.Get("json"); name != "" && !strings.Contains(readme, "\n| `"+name+"` |") {
			t.Errorf("README has no row for %s", name)
		}
	}
}

// Write writes a configuration and returns its path.
func Write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Closed returns an address without a listener.
func Closed(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// Listens waits until a program listens on an address. It fails if the program ends
// before.
func Listens(t *testing.T, address string, ended <-chan error) {
	t.Helper()
	for {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return
		}
		select {
		case err := <-ended:
			t.Fatalf("the program ended: %v", err)
		case <-t.Context().Done():
			t.Fatal("the test ended before the program listens")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Log is a log that can be read during writes.
type Log = enginetest.Log
