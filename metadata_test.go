// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

// RFC 9728 §2: the document may have more members, but none twice, and members
// without a value are left out.
//
// Covers RFC 9110 §15.5.6; RFC 9728 §2 (authorization servers, methods), §3.2 (status, zero values), §3.3.
func TestMetadataDocument(t *testing.T) {
	servers, scopes, extra := []string{"https://b.example", "http://127.0.0.1:9000"}, []string{"reports:write", "reports:read"}, map[string]any{"also": 1, "more": true}
	for want, resource := range map[string]gatehouse.ProtectedResource{
		`{"resource":"https://a.example","authorization_servers":["https://b.example","http://127.0.0.1:9000"],` +
			`"scopes_supported":["reports:write","reports:read"],"bearer_methods_supported":["header"],"resource_name":"Reports",` +
			`"resource_documentation":"https://a.example/docs"}`: {
			Resource: "https://a.example", AuthorizationServers: servers, Scopes: scopes, BearerMethods: []string{"query"}, Name: "Reports", Documentation: "https://a.example/docs",
		},
		`{"also":1,"authorization_servers":["https://b.example"],"bearer_methods_supported":["header"],"more":true,"resource":"https://a.example"}`: {
			Resource: "https://a.example", AuthorizationServers: servers[:1], Extra: extra,
		},
		`{"resource":"https://a.example","authorization_servers":["https://b.example"],"bearer_methods_supported":["header"]}`: {
			Resource: "https://a.example", AuthorizationServers: servers[:1],
		},
		`{"resource":"https://a.example","bearer_methods_supported":["header"]}`: {Resource: "https://a.example", AuthorizationServers: []string{}},
	} {
		metadata := must(gatehouse.NewMetadata(resource))
		server, scope := servers[0], scopes[0]
		servers[0], scopes[0], extra["resource"] = "https://evil.example.com", "everything", "https://evil.example" // NewMetadata has cloned them
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} {
			w := httptest.NewRecorder()
			metadata.ServeHTTP(w, httptest.NewRequest(method, metadata.URL, nil))
			switch method {
			case "GET", "HEAD":
				equal(t, method+": header", w.Result().Header, http.Header{
					"Access-Control-Allow-Origin": {"*"}, "Content-Type": {"application/json"}, "Cache-Control": {"max-age=3600"}, "X-Content-Type-Options": {"nosniff"},
				})
				equal(t, method+": document", w.Body.String(), map[string]string{"GET": want}[method])
				equal(t, method+": status", w.Code, 200)
			default:
				if w.Code != 405 || w.Result().Header.Get("Allow") != "GET, HEAD" || strings.Contains(w.Body.String(), "resource") {
					t.Errorf("%s: %d %v %s, want 405 without the document", method, w.Code, w.Header(), w.Body)
				}
			}
		}
		servers[0], scopes[0] = server, scope
		delete(extra, "resource")
	}
}

// RFC 9728 §3.1: the URL of the document. A mux serves it there.
//
// Covers RFC 9728 §3.
func TestMetadataURL(t *testing.T) {
	const at = "https://api.example.com/.well-known/oauth-protected-resource"
	for resource, want := range map[string]string{
		"https://api.example.com": at,
		// Covers RFC 9728 §3.1.
		"https://api.example.com/":              at,
		"https://api.example.com/reports":       at + "/reports",
		"https://api.example.com/reports/":      at + "/reports/",
		"https://api.example.com/reports/v1":    at + "/reports/v1",
		"https://api.example.com?tenant=acme":   at + "?tenant=acme",
		"https://api.example.com/?tenant=acme":  at + "?tenant=acme",
		"https://api.example.com/a?tenant=acme": at + "/a?tenant=acme",
		"https://api.example.com/a%2Fb":         at + "/a%2Fb",
		"https://api.example.com/a%20b":         at + "/a%20b",
		"https://api.example.com/%7Btenant%7D":  at + "/%7Btenant%7D",
		"https://api.example.com/caf%C3%A9":     at + "/caf%C3%A9",
		"https://api.example.com:8443/x":        strings.Replace(at, "com/", "com:8443/", 1) + "/x",
		"http://127.0.0.1:8080":                 "http://127.0.0.1:8080/.well-known/oauth-protected-resource",
	} {
		metadata, err := gatehouse.NewMetadata(gatehouse.ProtectedResource{Resource: resource, AuthorizationServers: []string{"https://auth.example.com"}})
		if err != nil {
			t.Errorf("%s: %v", resource, err)
			continue
		}
		equal(t, resource, metadata.URL, want)
		mux := http.NewServeMux()
		mux.Handle(metadata.Path, metadata)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", metadata.URL, nil))
		if w.Code != 200 || !strings.Contains(w.Body.String(), `"resource":"https`) && !strings.Contains(w.Body.String(), `"resource":"http:`) {
			t.Errorf("%s: %d %s", resource, w.Code, w.Body)
		}
	}
}

// Covers RFC 9728 §1.2, §2 (resource).
func TestNewMetadataRefuses(t *testing.T) {
	for _, test := range []struct {
		resource gatehouse.ProtectedResource
		want     string
	}{
		{gatehouse.ProtectedResource{}, "gatehouse: ProtectedResource.Resource: required"},
		{
			gatehouse.ProtectedResource{
				Resource: "http://api.example.com", AuthorizationServers: []string{"https://a.example", "", "ftp://b.example"}, Scopes: []string{"a b"},
			},
			"gatehouse: ProtectedResource.Resource: plain http is for loopback addresses only\n" +
				"gatehouse: ProtectedResource.AuthorizationServers[1]: required\n" +
				"gatehouse: ProtectedResource.AuthorizationServers[2]: not an https URL\n" +
				"gatehouse: ProtectedResource.Scopes: gatehouse: malformed scope \"a b\"",
		},
		{
			gatehouse.ProtectedResource{Resource: "https://api.example.com", AuthorizationServers: []string{"https://a.example"}, Extra: map[string]any{"resource": 1}},
			"gatehouse: ProtectedResource.Extra: \"resource\": is a field of ProtectedResource: set the field",
		},
		{
			gatehouse.ProtectedResource{Resource: "https://api.example.com", Extra: map[string]any{"resource_documentation": "x"}},
			"gatehouse: ProtectedResource.Extra: \"resource_documentation\": is a field of ProtectedResource: set the field",
		},
		{
			gatehouse.ProtectedResource{Resource: "https://api.example.com", AuthorizationServers: []string{"https://a.example"}, Extra: map[string]any{"x": make(chan int)}},
			"gatehouse: ProtectedResource.Extra: \"x\": json: unsupported type: chan int",
		},
		{
			gatehouse.ProtectedResource{Resource: "https://api.example.com/#", AuthorizationServers: []string{"https://u:p@a.example"}},
			"gatehouse: ProtectedResource.Resource: has a fragment\n" +
				"gatehouse: ProtectedResource.AuthorizationServers[0]: has user information in it",
		},
	} {
		metadata, err := gatehouse.NewMetadata(test.resource)
		if metadata != nil || err == nil || err.Error() != test.want {
			t.Errorf("%v\n%v, want\n%s", metadata, err, test.want)
		}
	}
}
