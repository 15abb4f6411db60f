// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"maps"
	"os/exec"
	"testing"

	"github.com/gatehouse-go/gatehouse/interop/node"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// Page is a tab of Chromium. It is safe for concurrent use; calls run one after
// the other.
type Page struct {
	process *node.Process
	tab     int
}

// Start starts Chromium, which ends with the test. It skips the test if Chromium
// is missing or GATEHOUSE_SLOW is not 1.
func Start(t testing.TB) *Page {
	t.Helper()
	enginetest.Slow(t)
	node.Require(t)
	if !installed() {
		enginetest.Missing(t, "Chromium", "apt-get install chromium")
	}
	p := (&Page{process: node.Start(t, "browser/browser.mjs")}).open(t, "start")
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

// Tab opens another tab of the same profile.
func (p *Page) Tab(t testing.TB) *Page {
	t.Helper()
	return p.open(t, "tab")
}

// Person opens a tab in a new browser profile, which shares nothing with this
// one. The test closes all tabs of the profile when it ends.
func (p *Page) Person(t testing.TB) *Page {
	t.Helper()
	person := p.open(t, "person")
	t.Cleanup(func() { person.do(t, "leave", nil) })
	return person
}

func (p *Page) open(t testing.TB, how string) *Page {
	t.Helper()
	var a struct{ Tab int }
	p.call(t, how, nil, &a)
	return &Page{p.process, a.Tab}
}

// arguments are those of a verb of browser.mjs.
type arguments map[string]any

func (p *Page) call(t testing.TB, verb string, a arguments, answer any) {
	t.Helper()
	request := map[string]any{"do": verb, "tab": p.tab}
	maps.Copy(request, a)
	if err := p.process.Call(request, answer); err != nil {
		t.Fatalf("browser: %s %v: %v", verb, a, err)
	}
}

func (p *Page) do(t testing.TB, verb string, a arguments) {
	t.Helper()
	p.call(t, verb, a, &struct{}{})
}
