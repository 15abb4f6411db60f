// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/interop/browser"
	"github.com/gatehouse-go/gatehouse/interop/program"
)

// keyserverInBrowser: a person creates, rotates and revokes an API key. A page of
// another site cannot, and no script can read the session cookie.
func keyserverInBrowser(t *testing.T, page *browser.Page) {
	server := program.Start(t, buildExample(t, "keyserver"), os.Environ(), "-addr", "127.0.0.1:0")
	address := server.Prints(t, &server.Out, `listening (\S+)\n`)
	code := server.Prints(t, &server.Out, `sign-in code (\S+)\n`)

	lands(t, "signed out, the page", page.Visit(t, address), http.StatusOK, address+"/login")
	page.Fill(t, "#code", "wrong")
	lands(t, "a wrong code", page.Submit(t, "button"), http.StatusForbidden, "")
	says(t, page, "[role=alert]", "not the code")
	page.Fill(t, "#code", code)
	lands(t, "the code", page.Submit(t, "button"), http.StatusOK, address+"/")
	if got := page.Text(t, "h1"); got != "API keys of acme" {
		t.Errorf("the heading is %q, want API keys of acme", got)
	}

	// The cookie as the browser reports it; scripts cannot read it.
	cookies := page.Cookies(t)
	if len(cookies) != 1 || cookies[0].Name != "__Host-Http-keyserver" || !cookies[0].HTTPOnly || !cookies[0].Secure ||
		cookies[0].SameSite != "Strict" || cookies[0].Path != "/" {
		t.Errorf("the browser keeps %+v", cookies)
	}
	yields(t, page, "[document.cookie, localStorage.length, sessionStorage.length].join()", `",0,0"`)

	page.Fill(t, "#name", "nightly <b>reports</b>")
	page.Check(t, "input[value='reports:read']")
	lands(t, "create", page.Submit(t, "form.card button"), http.StatusCreated, "")
	secret := page.Text(t, "#secret")
	label, err := apikey.Parse(secret)
	if err != nil {
		t.Fatalf("the page shows %q: %v", secret, err)
	}
	row := "tr[data-id='" + label.ID + "']"
	if got := page.Text(t, row); !strings.Contains(got, "nightly <b>reports</b>") || !strings.Contains(got, "reports:read") || !strings.Contains(got, "active") {
		t.Errorf("the row of the key is %q", got)
	}
	page.Screenshot(t, filepath.Join(t.ArtifactDir(), "keyserver.png"))

	lands(t, "rotate", page.Submit(t, row+" form[action$=rotate] button"), http.StatusOK, "")
	if next := page.Text(t, "#secret"); next == secret || !strings.Contains(next, label.ID) {
		t.Errorf("after rotate the page shows %q, want a new secret of the key", next)
	}
	lands(t, "revoke", page.Submit(t, row+" form[action$=revoke] button"), http.StatusOK, address+"/")
	says(t, page, row, "revoked")
	if got := page.Text(t, "body"); strings.Contains(got, secret[len(secret)-20:]) {
		t.Error("the page shows the secret a second time")
	}

	// CSRF: the browser sends no cookie with the request of another site, and the
	// server would reject one.
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!DOCTYPE html><form method="post" action="%s/keys"><input name="name" value="mine"><input name="days" value="90"><button>Win</button></form>`, address)
	}))
	defer evil.Close()
	page.Visit(t, strings.Replace(evil.URL, "127.0.0.1", "localhost", 1))
	if at := page.Submit(t, "button"); at.Status != http.StatusUnauthorized && at.Status != http.StatusForbidden {
		t.Errorf("a form of another site leads to %+v, want 401 or 403", at)
	}
	page.Visit(t, address+"/")
	if got := page.Text(t, "tbody"); strings.Contains(got, "mine") {
		t.Error("another site has created a key")
	}

	lands(t, "sign out", page.Submit(t, "header button"), 0, address+"/login")
	if cookies := page.Cookies(t); len(cookies) != 0 {
		t.Errorf("after the logout the browser keeps %+v", cookies)
	}
	page.Fill(t, "#code", code)
	lands(t, "a used code", page.Submit(t, "button"), http.StatusForbidden, "")
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if <-server.Ended; server.Err != nil {
		t.Errorf("after SIGTERM the server ends with %v", server.Err)
	}
}
