// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/gatehouse-go/gatehouse/internal/safeurl"
)

// ProtectedResource describes an API to its clients, RFC 9728 section 2.
type ProtectedResource struct {
	// Resource is the resource identifier: an https URL without a fragment.
	// Required. It is also the audience that tokens for it carry.
	Resource string `json:"resource"`

	// AuthorizationServers are the issuers whose tokens are accepted. At least
	// one is required.
	AuthorizationServers []string `json:"authorization_servers"`

	// Scopes are the scopes that clients may ask for. Optional.
	Scopes []string `json:"scopes_supported,omitempty"`

	// BearerMethods is always "header": the gate reads tokens nowhere else.
	BearerMethods []string `json:"bearer_methods_supported"`

	// Name is the name of the API for people. Optional.
	Name string `json:"resource_name,omitempty"`

	// Documentation is the address of a page for developers. Optional.
	Documentation string `json:"resource_documentation,omitempty"`
}

const wellKnown = "/.well-known/oauth-protected-resource"

// Metadata serves a [ProtectedResource] document. Mount it outside the gate at
// Path:
//
//	root.Handle(metadata.Path, metadata)
type Metadata struct {
	// URL is where clients find the document.
	URL string
	// Path is the path of URL as it is written there, which is also how
	// [http.ServeMux] wants it.
	Path string

	document []byte
}

// NewMetadata checks the description and makes its handler. Plain http is
// accepted for loopback addresses only.
func NewMetadata(resource ProtectedResource) (*Metadata, error) {
	var errs []error
	u, err := safeurl.Parse(resource.Resource)
	if err != nil {
		errs = append(errs, fmt.Errorf("gatehouse: ProtectedResource.Resource: %w", err))
	}
	if len(resource.AuthorizationServers) == 0 {
		errs = append(errs, errors.New("gatehouse: ProtectedResource.AuthorizationServers: at least one is required"))
	}
	for i, server := range resource.AuthorizationServers {
		if _, err := safeurl.Parse(server); err != nil {
			errs = append(errs, fmt.Errorf("gatehouse: ProtectedResource.AuthorizationServers[%d]: %w", i, err))
		}
	}
	if _, err := NewScopes(resource.Scopes...); err != nil {
		errs = append(errs, fmt.Errorf("gatehouse: ProtectedResource.Scopes: %w", err))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	resource.BearerMethods = []string{"header"}
	document, _ := json.Marshal(resource) // strings cannot fail
	// RFC 9728 §3.1: "any terminating slash (/) following the host component
	// MUST be removed before inserting /.well-known/ and the well-known URI path
	// suffix between the host component and the path and/or query components."
	at := *u
	if at.Path == "/" {
		at.Path = ""
	}
	at.Path = wellKnown + at.Path
	at.RawPath = wellKnown + at.RawPath // of no effect unless it says the same
	return &Metadata{URL: at.String(), Path: at.EscapedPath(), document: document}, nil
}

// ServeHTTP answers GET and HEAD with the document. It is public by nature, so
// scripts of every origin may read it.
func (m *Metadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
		_, _ = w.Write(m.document)
	}
}
