// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse/internal/safeurl"
)

// ProtectedResource describes an API to its clients, RFC 9728 section 2.
//
// Implements RFC 9728 §3.2 (zero values).
type ProtectedResource struct {
	// Resource is the resource identifier: an https URL without a fragment. Required. It
	// is also the audience of its tokens.
	Resource string `json:"resource"`

	// AuthorizationServers are the issuers whose tokens are accepted. Optional: without
	// them, clients must know by other means where to get a token.
	AuthorizationServers []string `json:"authorization_servers,omitempty"`

	// Scopes are the scopes that clients may request. [Gate.Mux] adds the scopes of
	// its routes. Optional.
	Scopes []string `json:"scopes_supported,omitempty"`

	// BearerMethods is always "header": the gate reads tokens only from the
	// Authorization header.
	BearerMethods []string `json:"bearer_methods_supported"`

	// Name is a human-readable name of the API. Optional.
	Name string `json:"resource_name,omitempty"`

	// Documentation is the URL of a page for developers. Optional.
	Documentation string `json:"resource_documentation,omitempty"`

	// Extra are additional members of the document, such as
	// dpop_signing_alg_values_supported. Optional.
	Extra map[string]any `json:"-"`
}

const wellKnown = "/.well-known/oauth-protected-resource"

// Metadata is an http.Handler that serves a [ProtectedResource] document.
// [Gate.Mux] registers the Metadata of its gate; with another mux, mount it
// outside the gate at Path.
type Metadata struct {
	// URL is where clients find the document.
	URL string
	// Path is the path of URL, with its escapes: a pattern for [http.ServeMux].
	Path string

	resource ProtectedResource
	extra    map[string]json.RawMessage
}

// ownMembers returns the names of the members of the document that are fields of
// ProtectedResource.
func ownMembers() (names []string) {
	for field := range reflect.TypeFor[ProtectedResource]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// NewMetadata checks the document and returns its handler. Plain http is
// accepted for loopback addresses only.
//
// Implements RFC 9728 §1.2, §2 (resource, authorization servers, methods), §3, §3.3.
func NewMetadata(resource ProtectedResource) (*Metadata, error) {
	var errs []error
	u, err := safeurl.Parse(resource.Resource)
	if err != nil {
		errs = append(errs, fmt.Errorf("gatehouse: ProtectedResource.Resource: %w", err))
	}
	for i, server := range resource.AuthorizationServers {
		if _, err := safeurl.Parse(server); err != nil {
			errs = append(errs, fmt.Errorf("gatehouse: ProtectedResource.AuthorizationServers[%d]: %w", i, err))
		}
	}
	if _, err := NewScopes(resource.Scopes...); err != nil {
		errs = append(errs, fmt.Errorf("gatehouse: ProtectedResource.Scopes: %w", err))
	}
	resource.BearerMethods = []string{"header"}
	resource.AuthorizationServers = slices.Clone(resource.AuthorizationServers)
	resource.Scopes = slices.Clone(resource.Scopes)
	extra := make(map[string]json.RawMessage)
	for name, value := range resource.Extra {
		encoded, err := json.Marshal(value)
		if slices.Contains(ownMembers(), name) {
			err = errors.New("is a field of ProtectedResource: set the field")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("gatehouse: ProtectedResource.Extra: %q: %w", name, err))
		}
		extra[name] = encoded
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	// RFC 9728 §3.1: "any terminating slash (/) following the host component
	// MUST be removed before inserting /.well-known/ and the well-known URI path
	// suffix between the host component and the path and/or query components."
	at := *u
	if at.Path == "/" {
		at.Path = ""
	}
	at.Path = wellKnown + at.Path
	at.RawPath = wellKnown + at.RawPath // net/url ignores RawPath unless it encodes Path
	return &Metadata{URL: at.String(), Path: at.EscapedPath(), resource: resource, extra: extra}, nil
}

// document returns the document with the additional scopes more.
func (m *Metadata) document(more Scopes) []byte {
	resource := m.resource
	added := slices.DeleteFunc(slices.Collect(more.All()), func(scope string) bool { return slices.Contains(resource.Scopes, scope) })
	resource.Scopes = slices.Concat(resource.Scopes, added) // many requests share those of m
	document, _ := json.Marshal(resource)                   // cannot fail: there are only strings in it
	if len(m.extra) == 0 {
		return document
	}
	members := maps.Clone(m.extra)
	_ = json.Unmarshal(document, &members)
	document, _ = json.Marshal(members)
	return document
}

// ServeHTTP responds to GET and HEAD with the document. It allows every origin (CORS),
// because the document is public.
//
// Implements RFC 9110 §15.5.6; RFC 9728 §3.2 (status).
func (m *Metadata) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.serve(w, r, Scopes{}) }

func (m *Metadata) serve(w http.ResponseWriter, r *http.Request, more Scopes) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "max-age=3600")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method == http.MethodGet {
		_, _ = w.Write(m.document(more))
	}
}
