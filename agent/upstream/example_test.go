// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"

	"github.com/gatehouse-go/gatehouse/agent/upstream"
)

// A reverse proxy in front of the API of a language model. The credential is in a
// file that another program rotates.
func Example() {
	// The provider, which shows what it got.
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("provider:", r.Header["X-Api-Key"], r.Header["Authorization"], r.Header["Cookie"])
		fmt.Fprint(w, "your key is ", r.Header.Get("X-Api-Key"))
	}))
	defer provider.Close()

	dir, err := os.MkdirTemp("", "upstream")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	key := filepath.Join(dir, "provider-key")
	if err := os.WriteFile(key, []byte("sk-provider\n"), 0o600); err != nil {
		panic(err)
	}

	source, err := upstream.NewSecretSource("file:" + key)
	if err != nil {
		panic(err)
	}
	transport, err := upstream.New(upstream.Config{
		Name: "main", Origin: provider.URL, Source: source, Header: "X-Api-Key",
	})
	if err != nil {
		panic(err)
	}
	target, err := url.Parse(provider.URL)
	if err != nil {
		panic(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{ // behind a gate
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: transport,
	})
	defer proxy.Close()

	call, err := http.NewRequest(http.MethodPost, proxy.URL, nil)
	if err != nil {
		panic(err)
	}
	call.Header.Set("Authorization", "Bearer the-token-of-the-caller")
	call.Header.Set("Cookie", "session=the-session-of-the-caller")
	response, err := http.DefaultClient.Do(call)
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		panic(err)
	}
	fmt.Println("caller:", string(body))

	// Output:
	// provider: [sk-provider] [] []
	// caller: your key is ***********
}
