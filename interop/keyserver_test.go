// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/interop/browser"
)

// keyserver boots the example app and returns its address and its code.
func keyserver(t *testing.T) (address, code string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "keyserver")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = filepath.Join("..", "examples", "keyserver")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	server := exec.Command(binary, "-addr", "127.0.0.1:0")
	output, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		if err := server.Wait(); err != nil {
			t.Errorf("keyserver ended with %v", err)
		}
	})
	lines := bufio.NewReader(output)
	if _, err := fmt.Fscanf(lines, "listening %s\n", &address); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscanf(lines, "sign-in code %s\n", &code); err != nil {
		t.Fatal(err)
	}
	return address, code
}

// A person makes, rotates and revokes a key in a real browser, while pages of
// others can do nothing and no script can see the token.
func TestKeyserverInBrowser(t *testing.T) {
	page := browser.Start(t)
	address, code := keyserver(t)

	if at := page.Visit(t, address); at.URL != address+"/login" || at.Status != http.StatusOK {
		t.Fatalf("signed out, and at %+v", at)
	}
	page.Fill(t, "#code", "wrong")
	if at := page.Submit(t, "button"); at.Status != http.StatusForbidden || !strings.Contains(page.Text(t, "[role=alert]"), "not the code") {
		t.Fatalf("a wrong code led to %+v", at)
	}
	page.Fill(t, "#code", code)
	if at := page.Submit(t, "button"); at.URL != address+"/" || at.Status != http.StatusOK {
		t.Fatalf("the code led to %+v", at)
	}
	if got := page.Text(t, "h1"); got != "API keys of acme" {
		t.Errorf("the page is called %q", got)
	}

	// The cookie as the browser itself reports it, and as scripts do not see it.
	cookies := page.Cookies(t)
	if len(cookies) != 1 || cookies[0].Name != "__Host-Http-keyserver" || !cookies[0].HTTPOnly || !cookies[0].Secure ||
		cookies[0].SameSite != "Strict" || cookies[0].Path != "/" {
		t.Errorf("the browser keeps %+v", cookies)
	}
	if got := page.Run(t, "[document.cookie, localStorage.length, sessionStorage.length].join()"); got != `",0,0"` {
		t.Errorf("scripts see %s", got)
	}

	page.Fill(t, "#name", "nightly <b>reports</b>")
	page.Check(t, "input[value='reports:read']")
	if at := page.Submit(t, "form.card button"); at.Status != http.StatusCreated {
		t.Fatalf("making a key led to %+v: %s", at, page.Text(t, "body"))
	}
	secret := page.Text(t, "#secret")
	label, err := apikey.Parse(secret)
	if err != nil {
		t.Fatalf("the page shows %q: %v", secret, err)
	}
	row := "tr[data-id='" + label.ID + "']"
	if got := page.Text(t, row); !strings.Contains(got, "nightly <b>reports</b>") || !strings.Contains(got, "reports:read") || !strings.Contains(got, "active") {
		t.Errorf("the row says %q", got)
	}
	page.Screenshot(t, filepath.Join(t.ArtifactDir(), "keyserver.png"))

	if at := page.Submit(t, row+" form[action$=rotate] button"); at.Status != http.StatusOK {
		t.Fatalf("rotating led to %+v", at)
	}
	if next := page.Text(t, "#secret"); next == secret || !strings.Contains(next, label.ID) {
		t.Errorf("the new secret is %q", next)
	}
	if at := page.Submit(t, row+" form[action$=revoke] button"); at.Status != http.StatusOK || at.URL != address+"/" {
		t.Fatalf("revoking led to %+v", at)
	}
	if got := page.Text(t, row); !strings.Contains(got, "revoked") {
		t.Errorf("the row says %q", got)
	}
	if got := page.Text(t, "body"); strings.Contains(got, secret[len(secret)-20:]) {
		t.Error("the secret is shown again")
	}

	// A page on another site: the cookie does not go along, and were it to, the
	// request would be refused for where it comes from.
	_, port, err := net.SplitHostPort(strings.TrimPrefix(address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!DOCTYPE html><form method="post" action="http://127.0.0.1:%s/keys"><input name="name" value="mine"><input name="days" value="90"><button>Win</button></form>`, port)
	}))
	defer evil.Close()
	page.Visit(t, strings.Replace(evil.URL, "127.0.0.1", "localhost", 1))
	if at := page.Submit(t, "button"); at.Status != http.StatusUnauthorized && at.Status != http.StatusForbidden {
		t.Errorf("a form of another site led to %+v", at)
	}
	page.Visit(t, address+"/")
	if got := page.Text(t, "tbody"); strings.Contains(got, "mine") {
		t.Error("another site has made a key")
	}

	if at := page.Submit(t, "header button"); at.URL != address+"/login" {
		t.Errorf("signing out led to %+v", at)
	}
	if cookies := page.Cookies(t); len(cookies) != 0 {
		t.Errorf("the browser still keeps %+v", cookies)
	}
	page.Fill(t, "#code", code)
	if at := page.Submit(t, "button"); at.Status != http.StatusForbidden {
		t.Errorf("the code was good twice: %+v", at)
	}
}
