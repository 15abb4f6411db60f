// SPDX-License-Identifier: Apache-2.0

package mtls_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/mtls"
)

// A server whose callers have certificates.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "clients.pem")
	if err := os.WriteFile(file, pemOf(root), 0o600); err != nil {
		panic(err)
	}

	roots, err := mtls.NewRoots(mtls.RootsConfig{File: file})
	if err != nil {
		panic(err)
	}
	certificates, err := mtls.New(mtls.Config{
		Roots:    roots,
		Subjects: []mtls.Subject{{SAN: "uri:spiffe://example.org/billing", Subject: "billing", Scopes: []string{"reports:read"}}},
	})
	if err != nil {
		panic(err)
	}
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{certificates}, Realm: "example"})
	if err != nil {
		panic(err)
	}
	mux := gate.Mux()
	mux.HandleFunc("GET /whoami", func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprintln(w, p.Subject, p.Binding)
	}, gatehouse.Authenticated)

	server := httptest.NewUnstartedServer(mux)
	own := issue(root, nil).tls() // in an application from tls.LoadX509KeyPair
	server.TLS, err = mtls.ServerTLS(&tls.Config{Certificates: []tls.Certificate{own}}, roots)
	if err != nil {
		panic(err)
	}
	server.StartTLS()
	defer server.Close()

	transport := server.Client().Transport.(*http.Transport)
	transport.TLSClientConfig = &tls.Config{
		Certificates:       []tls.Certificate{client.tls()},
		InsecureSkipVerify: true, // the example does not check the server
	}
	response, err := server.Client().Get(server.URL + "/whoami")
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		panic(err)
	}
	fmt.Print(response.StatusCode, " ", string(body))

	// Output:
	// 200 billing mtls
}

// Behind a proxy that ends TLS. The guard comes first.
func Example_proxy() {
	certificates, err := mtls.New(mtls.Config{
		Subjects: []mtls.Subject{{SAN: "uri:spiffe://example.org/billing", Subject: "billing"}},
		Proxies:  []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")},
	})
	if err != nil {
		panic(err)
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{certificates.HeaderGuard(), certificates},
		Realm:          "example",
	})
	if err != nil {
		panic(err)
	}
	handler := gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprint(w, p.Subject)
	}))

	for _, peer := range []string{"10.0.0.7:4711", "192.0.2.1:4711"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = peer
		r.Header.Set("Client-Cert", client.header())
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(peer, w.Code)
	}

	// Output:
	// 10.0.0.7:4711 200
	// 192.0.2.1:4711 400
}
