// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"os"
	"os/exec"
	"testing"

	"github.com/gatehouse-go/gatehouse/interop/node"
)

// Page is a tab of a Chromium of its own.
type Page struct{ process *node.Process }

// Start starts Chromium and ends it with the test. Without Chromium the test is
// skipped, with a line that says what to install; where engines are required it
// fails.
func Start(t testing.TB) *Page {
	t.Helper()
	node.Require(t)
	if !installed() {
		if os.Getenv("GATEHOUSE_REQUIRE_ENGINES") == "1" {
			t.Fatal("browser: no Chromium: apt-get install chromium")
		}
		t.Skip("SKIPPED, needs Chromium: apt-get install chromium")
	}
	p := &Page{node.Start(t, "browser/browser.mjs")}
	p.call(t, map[string]string{"do": "start"}, &struct{}{})
	t.Cleanup(func() { _ = p.process.Call(map[string]string{"do": "stop"}, &struct{}{}) })
	return p
}

func installed() bool {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if _, err := exec.LookPath(name); err == nil {
			return true
		}
	}
	return false
}

// Answer is where a navigation has led.
type Answer struct {
	URL    string
	Status int
}

// Visit goes to an address, as a person who types it.
func (p *Page) Visit(t testing.TB, url string) Answer {
	t.Helper()
	var a Answer
	p.call(t, map[string]string{"do": "visit", "url": url}, &a)
	return a
}

// Fill writes into a field.
func (p *Page) Fill(t testing.TB, selector, text string) {
	t.Helper()
	p.call(t, map[string]string{"do": "fill", "selector": selector, "text": text}, &struct{}{})
}

// Check ticks a box.
func (p *Page) Check(t testing.TB, selector string) {
	t.Helper()
	p.call(t, map[string]string{"do": "check", "selector": selector}, &struct{}{})
}

// Submit clicks and waits for the page that comes of it.
func (p *Page) Submit(t testing.TB, selector string) Answer {
	t.Helper()
	var a Answer
	p.call(t, map[string]string{"do": "submit", "selector": selector}, &a)
	return a
}

// Text is what a person sees of the elements that match.
func (p *Page) Text(t testing.TB, selector string) string {
	t.Helper()
	var a struct{ Text string }
	p.call(t, map[string]string{"do": "text", "selector": selector}, &a)
	return a.Text
}

// Run evaluates JavaScript in the page and returns its value as JSON.
func (p *Page) Run(t testing.TB, script string) string {
	t.Helper()
	var a struct{ Result string }
	p.call(t, map[string]string{"do": "run", "script": script}, &a)
	return a.Result
}

// Cookie is a cookie as the browser keeps it.
type Cookie struct {
	Name, Value, Domain, Path string
	HTTPOnly, Secure          bool
	SameSite                  string
}

// Cookies are all that the browser keeps.
func (p *Page) Cookies(t testing.TB) []Cookie {
	t.Helper()
	var a struct{ Cookies []Cookie }
	p.call(t, map[string]string{"do": "cookies"}, &a)
	return a.Cookies
}

// Screenshot writes a picture of the whole page.
func (p *Page) Screenshot(t testing.TB, path string) {
	t.Helper()
	p.call(t, map[string]string{"do": "screenshot", "path": path}, &struct{}{})
}

func (p *Page) call(t testing.TB, request, answer any) {
	t.Helper()
	if err := p.process.Call(request, answer); err != nil {
		t.Fatalf("browser: %v", err)
	}
}
